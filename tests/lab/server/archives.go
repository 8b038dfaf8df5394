package main

import (
	"archive/zip"
	"bytes"
	"net/http"
	"strings"
	"time"
)

// module is one that the lab's module proxies have.
type module struct{ path, version string }

const (
	farewellPath  = "example.com/lab/farewell"
	toolchainPath = "golang.org/toolchain"
)

// published are the modules of the lab. The toolchain is no more than its name: it is there to be downloaded.
var published = []module{
	{farewellPath, moduleVersion},
	{toolchainPath, "v0.0.1-go1.28.1.linux-amd64"},
	{modulePath, moduleVersion},
}

// variant is what somebody made of an archive.
type variant string

const (
	honest          variant = ""
	zipTampered     variant = "tampered"     // another content of the one source file
	zipAdded        variant = "added"        // one more file
	zipRemoved      variant = "removed"      // no source file
	zipInnerMod     variant = "inner-mod"    // another go.mod
	zipRecompressed variant = "recompressed" // the same files, packed by another program
	zipOutside      variant = "outside"      // a file that is not below the module's name
	zipTwins        variant = "twins"        // two files whose names differ in case alone
	zipShort        variant = "short"        // the first half of it
)

func (m module) mod() string {
	if m.path == modulePath {
		return moduleFile
	}
	return "module " + m.path + "\n\ngo 1.21\n"
}

type file struct{ name, text string }

func (m module) files() []file {
	switch m.path {
	case modulePath:
		return []file{{"go.mod", moduleFile}, {"greeting.go", moduleSource}}
	case toolchainPath:
		return []file{{"go.env", "GOTOOLCHAIN=auto\n"}, {"bin/go", "#!/bin/sh\necho a toolchain of the lab\n"}}
	}
	return []file{{"go.mod", m.mod()}, {"farewell.go", "// Package farewell says good bye.\npackage farewell\n"}}
}

func (m module) zip(v variant) ([]byte, error) {
	const evil = "\nfunc init() { println(Text) }\n"
	files := m.files()
	prefix := m.path + "@" + m.version + "/"
	method := zip.Deflate
	var modified time.Time
	switch v {
	case zipTampered:
		files[1].text += evil
	case zipAdded:
		files = append(files, file{"zz_init.go", "package greeting\n" + evil})
	case zipRemoved:
		files = files[:1]
	case zipInnerMod:
		files[0].text += "\nrequire example.com/lab/evil v1.0.0\n"
	case zipRecompressed:
		method, modified = zip.Store, time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)
		files[0], files[1] = files[1], files[0]
	case zipTwins:
		files = append(files, file{strings.ToUpper(files[1].name[:1]) + files[1].name[1:], files[1].text})
	}
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	if v == zipOutside {
		files = append(files, file{"example.com/lab/evil@v1.0.0/evil.go", "package evil\n"})
	}
	for _, file := range files {
		name := file.name
		if !strings.Contains(name, "@") {
			name = prefix + name
		}
		w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: modified})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(file.text)); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if v == zipShort {
		return buffer.Bytes()[:buffer.Len()/2], nil
	}
	return buffer.Bytes(), nil
}

// serveModules serves all of them, as they are.
func serveModules(w http.ResponseWriter, r *http.Request) {
	for _, m := range published {
		if rest, ours := strings.CutPrefix(r.URL.Path, "/"+m.path+"/@v/"); ours {
			m.serve(w, r, rest)
			return
		}
	}
	serveNothing(w, r)
}

func (m module) serve(w http.ResponseWriter, r *http.Request, rest string) {
	switch rest {
	case "list":
		answer(w, "text/plain; charset=utf-8", []byte(m.version+"\n"))
	case m.version + ".info":
		answer(w, "application/json", []byte(`{"Version":"`+m.version+`","Time":"2026-01-02T03:04:05Z"}`))
	case m.version + ".mod":
		answer(w, "text/plain; charset=utf-8", []byte(m.mod()))
	case m.version + ".zip":
		m.serveZip(w, honest)
	default:
		serveNothing(w, r)
	}
}

func (m module) serveZip(w http.ResponseWriter, v variant) {
	body, err := m.zip(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, "application/zip", body)
}

// serveZip serves that of the module's archive in the place of the honest one.
func serveZip(v variant) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+modulePath+"/") && strings.HasSuffix(r.URL.Path, ".zip") {
			published[len(published)-1].serveZip(w, v)
			return
		}
		serveModules(w, r)
	}
}

// serveTamperedToolchain serves another program as the toolchain.
func serveTamperedToolchain(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/"+toolchainPath+"/") && strings.HasSuffix(r.URL.Path, ".zip") {
		published[1].serveZip(w, zipTampered)
		return
	}
	serveModules(w, r)
}

// moduleZip is the archive of the module that the cases ask for, with that source.
func moduleZip(source string) ([]byte, error) {
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	prefix := modulePath + "@" + moduleVersion + "/"
	for _, file := range []file{{"go.mod", moduleFile}, {"greeting.go", source}} {
		w, err := archive.Create(prefix + file.name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(file.text)); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
