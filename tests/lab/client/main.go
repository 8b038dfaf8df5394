// Makes TLS sessions with itself while every thread is busy and goroutines are preempted all the time.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func busy(n int) int {
	for i := 0; ; i++ {
		n = n*1664525 + 1013904223
	}
}

func deep(n int, f func()) {
	var frame [512]byte
	frame[n%512] = 1
	if n == 0 {
		f()
		return
	}
	deep(n-1, f)
}

func main() {
	sessions, _ := strconv.Atoi(os.Args[1])
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	version := uint16(tls.VersionTLS13)
	if len(os.Args) > 2 && os.Args[2] == "1.2" {
		version = tls.VersionTLS12
	}
	server.TLS = &tls.Config{MaxVersion: version}
	server.StartTLS()
	for i := 0; i < 2*runtime.GOMAXPROCS(0); i++ {
		go busy(i)
	}
	go func() {
		for {
			syscall.Kill(os.Getpid(), syscall.SIGURG)
			time.Sleep(20 * time.Microsecond)
		}
	}()
	var all sync.WaitGroup
	gate := make(chan struct{}, 8)
	for i := 0; i < sessions; i++ {
		all.Add(1)
		gate <- struct{}{}
		go deep(i%40, func() {
			defer all.Done()
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.DisableKeepAlives = true
			answer, err := (&http.Client{Transport: transport}).Get(server.URL)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			<-gate
		})
	}
	all.Wait()
	fmt.Println(sessions)
}
