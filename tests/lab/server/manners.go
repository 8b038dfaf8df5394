package main

import (
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
	"strings"
)

// handlerFor returns what a site does with the connections of a listener:
//
//	reset   the ClientHello is read, then the connection is reset
//	close   the ClientHello is read, then the connection is closed
//	alert   the handshake is refused with the alert unrecognized_name
//	silent  connections are accepted and never answered
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
	}
	var handler http.Handler
	switch s.Manners {
	case "sumdb":
		handler = database
	case "other-sumdb":
		other, err := newSumdb(false)
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
	return func(l net.Listener) error { return server.ServeTLS(l, "", "") }, nil
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

// endAfterHello reads one TLS record and ends the connection. With a linger
// time of zero the kernel sends RST instead of FIN.
func endAfterHello(c *net.TCPConn, reset bool) {
	defer c.Close()
	var header [5]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return
	}
	length := int64(binary.BigEndian.Uint16(header[3:]))
	if _, err := io.CopyN(io.Discard, c, length); err != nil {
		return
	}
	if reset {
		_ = c.SetLinger(0)
	}
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
