// Command server plays the public services of the lab: module proxies over
// TLS, each with the chain and the manners that its case asks for, and a proxy
// that is spoken to over TLS or SOCKS.
//
// It reads one JSON configuration from standard input, writes the root that
// plays the public authorities, and prints "ready" once every listener is open.
// Private keys live in its memory only.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
)

// config is what the recorder hands over for one case.
type config struct {
	// RootFile receives the certificate of the public root, in PEM.
	RootFile string `json:"root_file"`
	// ApplianceFile receives the public root and that of the intercepting appliance, for clients that trust it.
	ApplianceFile string `json:"appliance_file"`
	// KeysFile receives the TLS secrets in the NSS key log format, if it is set.
	KeysFile string `json:"keys_file"`
	// SumdbKeyFile receives the verifier key of the checksum database, as for GOSUMDB.
	SumdbKeyFile string `json:"sumdb_key_file"`
	// SumdbName is the name under which the checksum database signs.
	SumdbName string `json:"sumdb_name"`
	// SumdbManners says what is wrong with it, see newSumdb.
	SumdbManners string `json:"sumdb_manners"`
	Sites        []site `json:"sites"`
	// Proxy is the client's way out, if it has one of the lab's own.
	Proxy *proxy `json:"proxy"`
}

// site is one service at one or more addresses.
type site struct {
	Names  []string `json:"names"`
	Listen []string `json:"listen"`
	// TLS is the highest version spoken: "1.1", "1.2", "1.2-cbc" (with no suite but one
	// of CBC, as old appliances do), "1.3", "1.3-mtls" and "1.2-mtls" (a certificate
	// of the client is asked for), or "none".
	TLS string `json:"tls"`
	// Chain says what the server sends, see chainFor.
	Chain string `json:"chain"`
	// Sumdb makes a module proxy mirror the checksum database.
	Sumdb bool `json:"sumdb"`
	// Manners says what happens to a connection, see handlerFor.
	Manners string `json:"manners"`
}

func main() {
	log.SetFlags(0)
	var c config
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		log.Fatalf("configuration: %v", err)
	}
	authorities, err := newAuthorities()
	if err != nil {
		log.Fatalf("authorities: %v", err)
	}
	if err := os.WriteFile(c.RootFile, authorities.public.pem(), 0o644); err != nil {
		log.Fatal(err)
	}

	if c.ApplianceFile != "" {
		roots := append(authorities.public.pem(), authorities.appliance.pem()...)
		if err := os.WriteFile(c.ApplianceFile, roots, 0o644); err != nil {
			log.Fatal(err)
		}
	}

	database, err := newSumdb(c.SumdbName, c.SumdbManners)
	if err != nil {
		log.Fatalf("checksum database: %v", err)
	}
	if err := os.WriteFile(c.SumdbKeyFile, []byte(database.verifierKey()), 0o644); err != nil {
		log.Fatal(err)
	}

	var keys io.Writer
	if c.KeysFile != "" {
		file, err := os.Create(c.KeysFile)
		if err != nil {
			log.Fatal(err)
		}
		keys = file
	}

	var serving sync.WaitGroup
	for _, s := range c.Sites {
		for _, address := range s.Listen {
			listener, err := net.Listen("tcp", address)
			if err != nil {
				log.Fatal(err)
			}
			handle, err := handlerFor(s, authorities, database, keys)
			if err != nil {
				log.Fatalf("%s: %v", address, err)
			}
			serving.Go(func() {
				if err := handle(listener); err != nil {
					log.Printf("%s: %v", address, err)
				}
			})
		}
	}
	if c.Proxy != nil {
		listener, err := net.Listen("tcp", c.Proxy.Listen)
		if err != nil {
			log.Fatal(err)
		}
		serving.Go(func() {
			if err := c.Proxy.serve(listener, authorities, keys); err != nil {
				log.Fatalf("proxy: %v", err)
			}
		})
	}
	fmt.Println("ready")
	serving.Wait()
}
