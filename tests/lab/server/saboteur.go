package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Frame types and error codes of HTTP/2 (RFC 9113 sections 6 and 7).
const (
	frameData, frameHeaders, frameReset, frameGoAway = 0, 1, 3, 7

	noError, enhanceYourCalm = 0, 11
)

// sabotages are what a server of HTTP/2 does in the wrong place:
//
//	goaway        GOAWAY with ENHANCE_YOUR_CALM instead of the first answer
//	goaway-once   GOAWAY with NO_ERROR instead of the very first answer; later connections work
//	calm          RST_STREAM with ENHANCE_YOUR_CALM in the middle of the zip
//	cut-fin       the TCP connection is closed in the middle of the zip, without close_notify
//	cut-notify    the same, with close_notify
//	cut-reset     the TCP connection is reset in the middle of the zip
//	late-reset    the TCP connection is reset after all of the zip and a close_notify
var sabotages = map[string]bool{"goaway": true, "goaway-once": true, "calm": true, "cut-fin": true,
	"cut-notify": true, "cut-reset": true, "late-reset": true}

// saboteur ends TLS itself and passes the frames of a proper server on, until its turn comes.
func saboteur(kind string, config *tls.Config, handler http.Handler) func(net.Listener) error {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	var struck atomic.Bool
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols}
	return each(func(raw *net.TCPConn) {
		defer raw.Close()
		front := tls.Server(raw, config)
		if front.Handshake() != nil {
			return
		}
		near, far := net.Pipe()
		defer near.Close()
		go func() { _ = server.Serve(&oneConn{conn: far}) }()
		go func() {
			_, _ = io.Copy(near, front)
			near.Close()
		}()
		var ended uint32
		for {
			frame, err := readFrame(near)
			if err != nil {
				return
			}
			stream := binary.BigEndian.Uint32(frame[5:])
			head := frame[3] == frameHeaders
			zip := frame[3] == frameData && bytes.HasPrefix(frame[9:], []byte("PK"))
			half := func() { _, _ = front.Write(newFrame(frameData, stream, frame[9:9+(len(frame)-9)/2])) }
			switch {
			case ended != 0 && stream == ended:
				continue
			case kind == "calm" && zip:
				half()
				ended = stream
				frame = newFrame(frameReset, stream, number(enhanceYourCalm))
			case kind == "goaway" && head:
				_, _ = front.Write(newFrame(frameGoAway, 0, append(number(0), number(enhanceYourCalm)...)))
				_, _ = io.Copy(io.Discard, raw)
				return
			case kind == "goaway-once" && head && struck.CompareAndSwap(false, true):
				_, _ = front.Write(newFrame(frameGoAway, 0, append(number(0), number(noError)...)))
				_, _ = io.Copy(io.Discard, raw)
				return
			case kind == "cut-fin" && zip:
				half()
				_ = raw.CloseWrite()
				_, _ = io.Copy(io.Discard, raw)
				return
			case kind == "cut-notify" && zip:
				half()
				_ = front.CloseWrite()
				_, _ = io.Copy(io.Discard, raw)
				return
			case kind == "cut-reset" && zip:
				half()
				_ = raw.SetLinger(0)
				return
			}
			if _, err := front.Write(frame); err != nil {
				return
			}
			if kind == "late-reset" && zip {
				_ = front.CloseWrite()
				time.Sleep(20 * time.Millisecond)
				_ = raw.SetLinger(0)
				return
			}
		}
	})
}

func number(code uint32) []byte { return binary.BigEndian.AppendUint32(nil, code) }

// readFrame reads one frame with its header of nine bytes.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 9)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	length := int(frame[0])<<16 | int(frame[1])<<8 | int(frame[2])
	frame = append(frame, make([]byte, length)...)
	_, err := io.ReadFull(r, frame[9:])
	return frame, err
}

func newFrame(kind byte, stream uint32, body []byte) []byte {
	frame := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, 0}
	return append(binary.BigEndian.AppendUint32(frame, stream), body...)
}

// oneConn is a listener that accepts one connection and then none for ever.
type oneConn struct {
	conn net.Conn
	gone atomic.Bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.gone.CompareAndSwap(false, true) {
		return l.conn, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
