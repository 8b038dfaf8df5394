package main

import (
	"net/http"
	"net/url"
	"strings"
)

// Where the lab's module proxies send their clients.
const (
	storage = "https://storage.googleapis.com/proxy-golang-org-prod"
	signOn  = "https://sso.corp.example/login?return_to="
)

// redirectZips sends zips to a storage service, as proxy.golang.org does.
func redirectZips(w http.ResponseWriter, r *http.Request) {
	if zipAskedFor(r, moduleSource) != nil {
		http.Redirect(w, r, storage+r.URL.Path, http.StatusFound)
		return
	}
	serveModules(w, r)
}

// serveStorage is that service.
func serveStorage(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/proxy-golang-org-prod")
	serveModules(w, r)
}

// redirectToSignOn sends whoever has no session to the company's log-in.
func redirectToSignOn(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, signOn+url.QueryEscape(r.URL.String()), http.StatusFound)
}

// redirectToPlain leads from https to http.
func redirectToPlain(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://login.portal.example/hotspot?continue="+url.QueryEscape(r.URL.String()), http.StatusFound)
}

// redirectForever sends every request to itself, by a relative reference.
func redirectForever(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", r.URL.Path)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// redirectToBlockPage is a filter that shows its page at a host of its own.
func redirectToBlockPage(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://login.portal.example/blocked?category=software&url="+url.QueryEscape(r.URL.String()), http.StatusFound)
}

// redirectToMirror is a module proxy that has moved to another host, which in turn sends zips elsewhere.
func redirectToMirror(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "https://goproxy.io"+r.URL.Path, http.StatusMovedPermanently)
}

// redirectToFilter is a filter that shows its page at an address of its own.
func redirectToFilter(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://10.44.0.30/webfilter/deny.php?policy=12", http.StatusFound)
}

// serveOtherStorage is that service with another content in its zips.
func serveOtherStorage(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/proxy-golang-org-prod")
	serveTamperedZip(w, r)
}

// serveZipFromStorage sends zips to a storage service over plain http, which nothing answers.
func serveZipFromStorage(w http.ResponseWriter, r *http.Request) {
	if zipAskedFor(r, moduleSource) != nil {
		http.Redirect(w, r, "https://storage.googleapis.com:8443"+r.URL.Path, http.StatusFound)
		return
	}
	serveModules(w, r)
}
