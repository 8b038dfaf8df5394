package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// handlerFor returns what a site does with the connections of a listener:
//
//	reset   the ClientHello is read, then the connection is reset
//	close   the ClientHello is read, then the connection is closed
//	alert   the handshake is refused with the alert unrecognized_name
//	silent  connections are accepted and never answered
//	alert-N the ClientHello is read, then refused with the alert of that number
//	reset-accept  the connection is reset as soon as it is open
//	reset-flight  the connection is reset after the first flight of the server
//	slow          the handshake starts after six seconds
//	old-hello     the ServerHello is one of TLS 1.1
//
//	sumdb        the checksum database, over TLS or not
//	other-sumdb  a checksum database that signs with a key nobody knows
//	sumdb-page   a page where the checksum database should be
//	sumdb-tile   a checksum database whose hashes do not agree with its tree
//	git          the repositories in the folder LAB_GIT
//
// what saboteur says about HTTP/2, and for everything else an HTTP server, over TLS or not, see httpManners.
func handlerFor(s site, a *authorities, database *sumdb, keys io.Writer) (func(net.Listener) error, error) {
	switch s.Manners {
	case "reset":
		return each(func(c *net.TCPConn) { endAfterHello(c, true) }), nil
	case "close":
		return each(func(c *net.TCPConn) { endAfterHello(c, false) }), nil
	case "alert":
		return each(refuseName), nil
	case "silent":
		return each(func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }), nil
	case "reset-accept":
		return each(func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }), nil
	case "old-hello":
		return each(func(c *net.TCPConn) { answerHello(c, oldServerHello()) }), nil
	}
	if number, found := strings.CutPrefix(s.Manners, "alert-"); found {
		description, err := strconv.ParseUint(number, 10, 8)
		if err != nil {
			return nil, err
		}
		alert := []byte{21, 3, 3, 0, 2, 2, byte(description)}
		return each(func(c *net.TCPConn) { answerHello(c, alert) }), nil
	}
	var handler http.Handler
	switch s.Manners {
	case "sumdb":
		handler = database
	case "other-sumdb":
		other, err := newSumdb(database.name, "")
		if err != nil {
			return nil, err
		}
		handler = other
	case "sumdb-tile":
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tile/") {
				answer(w, "application/octet-stream", make([]byte, 32*len(database.records)))
				return
			}
			database.ServeHTTP(w, r)
		})
	case "sumdb-page":
		handler = page(http.StatusOK, "Welcome to the artifact repository.")
	case "git":
		out, err := exec.Command("git", "--exec-path").Output()
		if err != nil {
			return nil, err
		}
		handler = &cgi.Handler{
			Path: strings.TrimSpace(string(out)) + "/git-http-backend",
			Env:  []string{"GIT_HTTP_EXPORT_ALL=1", "GIT_PROJECT_ROOT=" + os.Getenv("LAB_GIT")},
		}
	case "slow", "reset-flight":
		handler = http.HandlerFunc(serveModules)
	default:
		if sabotages[s.Manners] {
			handler = http.HandlerFunc(serveModules)
			break
		}
		function, known := httpManners[s.Manners]
		if !known {
			return nil, fmt.Errorf("unknown manners %q", s.Manners)
		}
		handler = function
	}
	if s.Sumdb {
		handler = withSumdb(handler, database)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(os.Stderr, "", 0)}
	if s.TLS == "none" {
		return server.Serve, nil
	}
	chain, err := a.chainFor(s.Chain, s.Names)
	if err != nil {
		return nil, err
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{chain}, KeyLogWriter: keys}
	switch s.TLS {
	case "1.3-mtls":
		server.TLSConfig.ClientAuth = tls.RequireAnyClientCert
	case "1.2-mtls":
		server.TLSConfig.ClientAuth, server.TLSConfig.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	case "1.1":
		server.TLSConfig.MinVersion, server.TLSConfig.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	case "1.2":
		server.TLSConfig.MaxVersion = tls.VersionTLS12
	case "1.2-cbc":
		server.TLSConfig.MaxVersion = tls.VersionTLS12
		server.TLSConfig.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		// HTTP/2 forbids the suite (RFC 9113, appendix A).
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if sabotages[s.Manners] {
		return saboteur(s.Manners, server.TLSConfig, handler), nil
	}
	return func(l net.Listener) error {
		switch s.Manners {
		case "slow":
			l = wrapped{l, func(c *net.TCPConn) net.Conn { return &slowConn{TCPConn: c} }}
		case "reset-flight":
			l = wrapped{l, func(c *net.TCPConn) net.Conn { return flightConn{c} }}
		}
		return server.ServeTLS(l, "", "")
	}, nil
}

// withSumdb is a module proxy that also mirrors the checksum database.
func withSumdb(modules http.Handler, database *sumdb) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/sumdb/") {
			database.ServeHTTP(w, r)
			return
		}
		modules.ServeHTTP(w, r)
	})
}

// each accepts connections for ever and handles every one on its own.
func each(handle func(*net.TCPConn)) func(net.Listener) error {
	return func(l net.Listener) error {
		for {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			go handle(c.(*net.TCPConn))
		}
	}
}

// readHello reads one TLS record.
func readHello(c *net.TCPConn) error {
	var header [5]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(header[3:])))
	return err
}

// endAfterHello reads the ClientHello and ends the connection. With a linger
// time of zero the kernel sends RST instead of FIN.
func endAfterHello(c *net.TCPConn, reset bool) {
	defer c.Close()
	if readHello(c) == nil && reset {
		_ = c.SetLinger(0)
	}
}

// answerHello reads the ClientHello and answers with these bytes.
func answerHello(c *net.TCPConn, answer []byte) {
	defer c.Close()
	if readHello(c) != nil {
		return
	}
	_, _ = c.Write(answer)
	// Waiting for the client's close keeps the answer from being lost to a RST.
	_, _ = io.Copy(io.Discard, c)
}

// oldServerHello is a ServerHello of TLS 1.1 (RFC 4346 section 7.4.1.3) that
// chooses TLS_RSA_WITH_AES_128_CBC_SHA.
func oldServerHello() []byte {
	body := append([]byte{3, 2}, bytes.Repeat([]byte{0x5a}, 32)...)
	body = append(body, 0, 0, 0x2f, 0)
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return append([]byte{22, 3, 2, 0, byte(len(message))}, message...)
}

// wrapped is a listener that makes other connections of those that it accepts.
type wrapped struct {
	net.Listener
	wrap func(*net.TCPConn) net.Conn
}

func (w wrapped) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return w.wrap(c.(*net.TCPConn)), nil
}

// slowConn takes its time before it reads anything.
type slowConn struct {
	*net.TCPConn
	once sync.Once
}

func (c *slowConn) Read(b []byte) (int, error) {
	c.once.Do(func() { time.Sleep(6 * time.Second) })
	return c.TCPConn.Read(b)
}

// flightConn resets the connection after the first flight.
type flightConn struct{ *net.TCPConn }

func (c flightConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	time.Sleep(5 * time.Millisecond)
	_ = c.SetLinger(0)
	c.Close()
	return n, err
}

// refuseName is a server without a certificate for any name, to which
// crypto/tls answers with unrecognized_name (RFC 6066 section 3).
func refuseName(c *net.TCPConn) {
	defer c.Close()
	// The error is the purpose.
	_ = tls.Server(c, &tls.Config{}).Handshake()
	// Waiting for the client's close keeps the alert from being lost to a RST.
	_, _ = io.Copy(io.Discard, c)
}
