package main

import (
	"compress/gzip"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The pages that services, balancers and appliances answer with. Their words are those by which they are known; the rest
// is the lab's own.
const (
	filterText   = "Access to this web site was blocked by your organization. Category: Software downloads."
	fortiGuard   = "<!DOCTYPE html>\n<html><head><title>Web Filter Violation</title></head><body><h1>FortiGuard Intrusion Prevention - Access Blocked</h1><p>Web Page Blocked</p><p>Powered By FortiGuard.</p></body></html>\n"
	notFromHere  = "<!DOCTYPE html>\n<html lang=en><title>Error 403 (Forbidden)!!1</title><a href=//www.google.com/><span id=logo aria-label=Google></span></a><p><b>403.</b> <ins>That’s an error.</ins><p>Your client does not have permission to get URL <code>/</code> from this server. This service is not available in your location. <ins>That’s all we know.</ins>\n"
	challenge    = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body><noscript>Enable JavaScript and cookies to continue</noscript><script src=\"/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1\"></script></body></html>\n"
	metaRefresh  = "<html><head><meta http-equiv=\"refresh\" content=\"0; url=http://login.portal.example/hotspot?continue=x\"></head><body></body></html>\n"
	portalForm   = "<!DOCTYPE html>\n<html><head><title>Guest WiFi</title></head><body><h1>Welcome to the guest network</h1><form method=\"post\" action=\"/login\"><input name=\"username\"><input type=\"password\" name=\"password\"><p>Accept the terms of use to connect to the internet.</p></form></body></html>\n"
	signIn       = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form action=\"/users/sign_in\" method=\"post\"><input name=\"user\"><input type=\"password\" name=\"password\"></form></body></html>\n"
	balancerText = "<html><head><title>503 Service Temporarily Unavailable</title></head>\n<body>\n<center><h1>503 Service Temporarily Unavailable</h1></center>\n<hr><center>nginx</center>\n</body>\n</html>\n"
)

func rawPage(status int, text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

// squeezed compresses what the handler writes, for clients that accept it.
func squeezed(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			handler(w, r)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		handler(squeezer{w, z}, r)
	}
}

type squeezer struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (s squeezer) Write(b []byte) (int, error) { return s.z.Write(b) }

// except answers what ends so by other means than the module proxy's own.
func except(suffix string, other http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			other(w, r)
			return
		}
		serveModules(w, r)
	}
}

// words answers success with a text.
func words(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, contentType, []byte(text)) }
}

// serveLatestOnly has an empty list and knows the newest version all the same.
func serveLatestOnly(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/" + modulePath + "/@v/list":
		answer(w, "text/plain; charset=utf-8", nil)
	case "/" + modulePath + "/@latest":
		answer(w, "application/json", []byte(moduleInfo))
	default:
		serveModules(w, r)
	}
}

// exceptBelow answers what lies below a path by other means than the module proxy's own.
func exceptBelow(prefix string, other http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			other(w, r)
			return
		}
		serveModules(w, r)
	}
}

// serveZipAsText serves the zip with a type that is not its own.
func serveZipAsText(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, moduleSource); body != nil {
		answer(w, "text/html; charset=utf-8", body)
		return
	}
	serveNothing(w, r)
}

// serveBigTampered serves a sound zip of some segments with another content.
func serveBigTampered(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, noise(8<<10)); body != nil {
		answer(w, "application/zip", body)
		return
	}
	serveModules(w, r)
}

// noise is the module's source with a comment that cannot be compressed.
func noise(length int) string {
	source := []byte(moduleSource + "\n// ")
	random := rand.New(rand.NewPCG(1, 2))
	for range length {
		source = append(source, byte('!'+random.IntN(90)))
	}
	return string(source) + "\n"
}

// serveBigZip serves a zip of some 40 segments.
func serveBigZip(w http.ResponseWriter, r *http.Request) {
	serveZipOf(w, r, 56<<10, 200*time.Millisecond)
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// hangInZip stops for ever in the middle of the zip, between two records.
func hangInZip(w http.ResponseWriter, r *http.Request) { serveZipOf(w, r, 56<<10, time.Hour) }

// serveSteadyZip serves a zip of about 53 KB without a pause.
func serveSteadyZip(w http.ResponseWriter, r *http.Request) { serveZipOf(w, r, 64<<10, 0) }

func serveZipOf(w http.ResponseWriter, r *http.Request, size int, pause time.Duration) {
	body := zipAskedFor(r, noise(size))
	if body == nil {
		serveNothing(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body[:len(body)/2])
	// The pause lets the path cut the body where nothing is under way.
	if pause > 0 {
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
	}
	_, _ = w.Write(body[len(body)/2:])
}
