package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// sumdbName is the name under which the lab's checksum database signs.
const sumdbName = "sum.golang.org"

// algorithm is that of Ed25519 in the keys of signed notes.
const algorithm = 1

// sumdb is a checksum database with a handful of records: so few that every
// proof is in the one partial tile of level 0.
type sumdb struct {
	key     ed25519.PrivateKey
	records []string
}

// newSumdb is one with a key of its own. Wrong makes it hold another hash of the module's archive.
func newSumdb(wrong bool) (*sumdb, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	archive, err := moduleZip(moduleSource)
	if err != nil {
		return nil, err
	}
	zipSum, err := hashZip(archive)
	if err != nil {
		return nil, err
	}
	if wrong {
		zipSum = hashFiles(nil)
	}
	modSum := hashFiles(map[string][]byte{"go.mod": []byte(moduleFile)})
	d := &sumdb{key: key}
	for _, other := range []string{"a", "b", "c"} {
		d.records = append(d.records, fmt.Sprintf("example.com/%s v1.0.0 %s\nexample.com/%[1]s v1.0.0/go.mod %[2]s\n", other, modSum))
	}
	d.records = append(d.records, fmt.Sprintf("%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", modulePath, moduleVersion, zipSum, modSum))
	return d, nil
}

// verifierKey is the key as it stands in GOSUMDB.
func (d *sumdb) verifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", sumdbName, d.keyHash(), base64.StdEncoding.EncodeToString(d.publicKey()))
}

func (d *sumdb) publicKey() []byte {
	return append([]byte{algorithm}, d.key.Public().(ed25519.PublicKey)...)
}

func (d *sumdb) keyHash() uint32 {
	sum := sha256.Sum256(append([]byte(sumdbName+"\n"), d.publicKey()...))
	return binary.BigEndian.Uint32(sum[:4])
}

// ServeHTTP answers lookups, the latest tree and the tile (golang.org/design/25530-sumdb).
func (d *sumdb) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const text = "text/plain; charset=utf-8"
	switch path := strings.TrimPrefix(r.URL.Path, "/sumdb/"+sumdbName); path {
	case "/supported":
		answer(w, text, nil)
	case "/latest":
		answer(w, text, []byte(d.signedTree()))
	case "/lookup/" + modulePath + "@" + moduleVersion:
		id := len(d.records) - 1
		answer(w, text, fmt.Appendf(nil, "%d\n%s\n%s", id, d.records[id], d.signedTree()))
	case fmt.Sprintf("/tile/8/0/000.p/%d", len(d.records)):
		var tile []byte
		for _, record := range d.records {
			tile = append(tile, recordHash(record)...)
		}
		answer(w, "application/octet-stream", tile)
	default:
		serveNothing(w, r)
	}
}

func (d *sumdb) signedTree() string {
	tree := fmt.Sprintf("go.sum database tree\n%d\n%s\n", len(d.records), base64.StdEncoding.EncodeToString(treeHash(d.records)))
	signature := binary.BigEndian.AppendUint32(nil, d.keyHash())
	signature = append(signature, ed25519.Sign(d.key, []byte(tree))...)
	return tree + "\n\u2014 " + sumdbName + " " + base64.StdEncoding.EncodeToString(signature) + "\n"
}

// recordHash is the hash of a leaf (RFC 6962 section 2.1).
func recordHash(record string) []byte {
	sum := sha256.Sum256(append([]byte{0}, record...))
	return sum[:]
}

// treeHash is the Merkle tree hash (RFC 6962 section 2.1) of at least one record.
func treeHash(records []string) []byte {
	if len(records) == 1 {
		return recordHash(records[0])
	}
	left := 1
	for left*2 < len(records) {
		left *= 2
	}
	node := append([]byte{1}, treeHash(records[:left])...)
	sum := sha256.Sum256(append(node, treeHash(records[left:])...))
	return sum[:]
}

func hashZip(archive []byte) (string, error) {
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for _, file := range reader.File {
		content, err := file.Open()
		if err != nil {
			return "", err
		}
		if files[file.Name], err = io.ReadAll(content); err != nil {
			return "", err
		}
	}
	return hashFiles(files), nil
}

// hashFiles is the hash that go.sum calls h1.
func hashFiles(files map[string][]byte) string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	summary := sha256.New()
	for _, name := range names {
		fmt.Fprintf(summary, "%x  %s\n", sha256.Sum256(files[name]), name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(summary.Sum(nil))
}
