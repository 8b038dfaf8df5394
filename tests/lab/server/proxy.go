package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// proxy is a way out for the client: CONNECT, inside TLS or not, or SOCKS.
type proxy struct {
	Listen string `json:"listen"`
	// Scheme is that of the way to it: "http", "https" or "socks5"; "raw" says Reply before anything is asked.
	Scheme string `json:"scheme"`
	// Names and Chain are those of its certificate, see chainFor.
	Names []string `json:"names"`
	Chain string   `json:"chain"`
	// User and Password are asked for where they are set.
	User     string `json:"user"`
	Password string `json:"password"`
	// Deny lists hosts that its policy refuses.
	Deny []string `json:"deny"`
	// Reply is what it answers to the first request in place of anything else, as it stands.
	Reply *string `json:"reply"`
	// Then says how the connection goes on after Reply: "close", "reset" or "hang"; else it takes further requests.
	Then string `json:"then"`
	// Code is the reply code of SOCKS for every host, if it is not zero.
	Code byte `json:"code"`
	// Delay is how long it takes to answer.
	Delay int `json:"delay_ms"`
}

// serve answers on l for ever.
func (p *proxy) serve(l net.Listener, a *authorities, keys io.Writer) error {
	handle := p.connect
	switch p.Scheme {
	case "http":
	case "raw":
		handle = func(c net.Conn) error {
			_, err := io.WriteString(c, *p.Reply)
			return err
		}
	case "https":
		chain, err := a.chainFor(p.Chain, p.Names)
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{chain}, KeyLogWriter: keys})
	case "socks5":
		handle = p.socks
	default:
		return fmt.Errorf("unknown proxy scheme %q", p.Scheme)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			// A client that leaves is no failure of the lab.
			_ = handle(c)
		}()
	}
}

// connect answers CONNECT requests (RFC 9110 section 9.3.6) until one opens a tunnel.
func (p *proxy) connect(c net.Conn) error {
	in := bufio.NewReader(c)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(p.Delay) * time.Millisecond)
		if p.Reply != nil {
			if _, err := io.WriteString(c, *p.Reply); err != nil {
				return err
			}
			switch p.Then {
			case "close":
				return nil
			case "reset":
				// What follows the answer is a hello, if that opened a tunnel.
				_, _ = in.Peek(1)
				return reset(c)
			case "hang":
				_, err := io.Copy(io.Discard, in)
				return err
			}
			continue
		}
		host, _, err := net.SplitHostPort(request.Host)
		status, more, body := http.StatusOK, "", ""
		password := base64.StdEncoding.EncodeToString([]byte(p.User + ":" + p.Password))
		var far net.Conn
		switch {
		case err != nil || request.Method != http.MethodConnect:
			status = http.StatusMethodNotAllowed
		case p.User != "" && request.Header.Get("Proxy-Authorization") != "Basic "+password:
			status, more = http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"corp\"\r\n"
		case slices.Contains(p.Deny, host):
			status, body = http.StatusForbidden, "<html><body>Access to "+host+" is denied by policy.</body></html>\n"
		default:
			if far, err = net.Dial("tcp", request.Host); err != nil {
				status = http.StatusBadGateway
			}
		}
		reason := http.StatusText(status)
		if far != nil {
			fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			return splice(c, in, far)
		}
		_, err = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s",
			status, reason, more, len(body), body)
		if err != nil {
			return err
		}
	}
}

// socks answers one SOCKS5 request (RFC 1928, RFC 1929).
func (p *proxy) socks(c net.Conn) error {
	in := bufio.NewReader(c)
	take := func(length int) []byte {
		bytes := make([]byte, length)
		if _, err := io.ReadFull(in, bytes); err != nil {
			return make([]byte, length)
		}
		return bytes
	}
	greeting := take(2)
	methods := take(int(greeting[1]))
	method := byte(0)
	if p.User != "" {
		method = 2
	}
	if greeting[0] != 5 || !slices.Contains(methods, method) {
		_, err := c.Write([]byte{5, 0xff})
		return err
	}
	if _, err := c.Write([]byte{5, method}); err != nil {
		return err
	}
	if method == 2 {
		user := string(take(int(take(2)[1])))
		password := string(take(int(take(1)[0])))
		if user != p.User || password != p.Password {
			_, err := c.Write([]byte{1, 1})
			return err
		}
		if _, err := c.Write([]byte{1, 0}); err != nil {
			return err
		}
	}
	host := ""
	switch take(4)[3] {
	case 1:
		host = net.IP(take(4)).String()
	case 3:
		host = string(take(int(take(1)[0])))
	case 4:
		host = net.IP(take(16)).String()
	}
	port := int(binary.BigEndian.Uint16(take(2)))
	reply := func(code byte) error {
		_, err := c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
		return err
	}
	if p.Code != 0 {
		return reply(p.Code)
	}
	if slices.Contains(p.Deny, host) {
		return reply(2)
	}
	far, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return reply(5)
	case err != nil:
		return reply(4)
	}
	if err := reply(0); err != nil {
		return err
	}
	return splice(c, in, far)
}

// reset ends a connection with RST.
func reset(c net.Conn) error {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.(*net.TCPConn).SetLinger(0)
}

// splice carries bytes both ways until either side ends.
func splice(c net.Conn, in io.Reader, far net.Conn) error {
	defer far.Close()
	done := make(chan error, 2)
	go func() {
		_, err := io.Copy(far, in)
		done <- err
	}()
	go func() {
		_, err := io.Copy(c, far)
		done <- err
	}()
	return <-done
}
