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

// algorithm is that of Ed25519 in the keys of signed notes.
const algorithm = 1

// sumdb is a checksum database.
type sumdb struct {
	name, manners string
	key           ed25519.PrivateKey
	records       []string
	// fork is another log of which it shows a head now and then, validly signed.
	fork []string
}

// newSumdb is one with a key of its own. Manners are
//
//	wrong          it holds another hash of the module's archive
//	twins, outside it holds the hash of an archive that breaks the rules for module zips
//	altered        lookups give another hash than the log holds
//	altered-head   the size of the tree is changed beneath the signature
//	forked         the lookup of farewell comes with a head of another log
//	beyond         lookups give a record number that the tree does not have
//	other-record   lookups are answered with another module's record
//	short-tile     tiles lack their last 16 bytes
//	flipped-tile   one bit of every tile is changed
//	older          nothing is wrong: the lookup of farewell comes with an older head
//	large          nothing is wrong: it has so many records that several tiles are needed
//	grown          nothing is wrong: lookups come with an old head, and the tile of its edge is full by now
func newSumdb(name, manners string) (*sumdb, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	modSum := hashFiles(map[string][]byte{"go.mod": []byte(moduleFile)})
	d := &sumdb{name: name, manners: manners, key: key}
	add := func(m module, zipSum, modSum string) {
		d.records = append(d.records, fmt.Sprintf("%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.path, m.version, zipSum, modSum))
	}
	filler := func(name string) { add(module{path: "example.com/" + name, version: "v1.0.0"}, modSum, modSum) }
	for _, other := range []string{"a", "b", "c"} {
		filler(other)
	}
	for _, m := range published {
		if m.path == modulePath && manners == "large" || m.path == farewellPath && manners == "grown" {
			for number := range 300 {
				filler(fmt.Sprintf("n%d", number))
			}
		}
		variant := honest
		switch manners {
		case "twins":
			variant = zipTwins
		case "outside":
			variant = zipOutside
		}
		archive, err := m.zip(variant)
		if err != nil {
			return nil, err
		}
		zipSum, err := hashZip(archive)
		if err != nil {
			return nil, err
		}
		if manners == "wrong" {
			zipSum = hashFiles(nil)
		}
		add(m, zipSum, hashFiles(map[string][]byte{"go.mod": []byte(m.mod())}))
	}
	if manners == "grown" {
		for number := range 220 {
			filler(fmt.Sprintf("later%d", number))
		}
	}
	if manners == "forked" {
		d.fork = append(slices.Clone(d.records), "example.com/d v1.0.0 "+modSum+"\n")
		d.fork[0] = "example.com/evil v1.0.0 " + modSum + "\n"
	}
	return d, nil
}

// verifierKey is the key as it stands in GOSUMDB.
func (d *sumdb) verifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", d.name, d.keyHash(), base64.StdEncoding.EncodeToString(d.publicKey()))
}

func (d *sumdb) publicKey() []byte {
	return append([]byte{algorithm}, d.key.Public().(ed25519.PublicKey)...)
}

func (d *sumdb) keyHash() uint32 {
	sum := sha256.Sum256(append([]byte(d.name+"\n"), d.publicKey()...))
	return binary.BigEndian.Uint32(sum[:4])
}

// ServeHTTP answers lookups, the latest tree and tiles (golang.org/design/25530-sumdb), below whatever path.
func (d *sumdb) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const text = "text/plain; charset=utf-8"
	path := r.URL.Path
	for _, part := range []string{"/supported", "/latest", "/lookup/", "/tile/"} {
		if _, rest, found := strings.Cut(path, part); found {
			path = part + rest
		}
	}
	if name, found := strings.CutPrefix(path, "/lookup/"); found {
		if body := d.lookup(name); body != "" {
			answer(w, text, []byte(body))
			return
		}
	}
	if tile := d.tile(path); tile != nil {
		answer(w, "application/octet-stream", tile)
		return
	}
	switch path {
	case "/supported":
		answer(w, text, nil)
	case "/latest":
		answer(w, text, []byte(d.signedTree(d.records)))
	default:
		serveNothing(w, r)
	}
}

// lookup is the answer about path@version.
func (d *sumdb) lookup(name string) string {
	start := strings.Replace(name, "@", " ", 1) + " "
	id := slices.IndexFunc(d.records, func(record string) bool { return strings.HasPrefix(record, start) })
	if id < 0 {
		return ""
	}
	record, tree := d.records[id], d.records
	farewell := strings.HasPrefix(name, farewellPath)
	switch {
	case d.manners == "altered":
		hash := strings.Fields(record)[2]
		record = strings.Replace(record, hash, hashFiles(nil), 1)
	case d.manners == "other-record":
		id, record = 0, d.records[0]
	case d.manners == "beyond":
		id += len(d.records)
	case d.manners == "forked" && farewell:
		tree = d.fork
	case d.manners == "older" && farewell, d.manners == "grown":
		tree = d.records[:id+1]
	}
	head := d.signedTree(tree)
	if d.manners == "altered-head" {
		size := fmt.Sprintf("\n%d\n", len(tree))
		head = strings.Replace(head, size, fmt.Sprintf("\n%d\n", len(tree)+1), 1)
	}
	return fmt.Sprintf("%d\n%s\n%s", id, record, head)
}

// tile is that of /tile/8/LEVEL/NUMBER or of /tile/8/LEVEL/NUMBER.p/WIDTH, for numbers below 1000.
func (d *sumdb) tile(path string) []byte {
	var level, number int
	width := 256
	if n, _ := fmt.Sscanf(path, "/tile/8/%d/%d.p/%d", &level, &number, &width); n < 2 || level > 1 {
		return nil
	}
	if end := number*256 + width; d.manners == "grown" && level == 0 && width < 256 && end < len(d.records) && end > 256 {
		return nil
	}
	records := d.records
	if level == 0 && number*256+width == len(d.fork) {
		records = d.fork
	}
	var tile []byte
	for node := number * 256; node < number*256+width; node++ {
		first, end := node<<(8*level), (node+1)<<(8*level)
		if end > len(records) {
			return nil
		}
		tile = append(tile, treeHash(records[first:end])...)
	}
	switch d.manners {
	case "short-tile":
		tile = tile[:len(tile)-16]
	case "flipped-tile":
		tile[31] ^= 1
	}
	return tile
}

func (d *sumdb) signedTree(records []string) string {
	tree := fmt.Sprintf("go.sum database tree\n%d\n%s\n", len(records), base64.StdEncoding.EncodeToString(treeHash(records)))
	signature := binary.BigEndian.AppendUint32(nil, d.keyHash())
	signature = append(signature, ed25519.Sign(d.key, []byte(tree))...)
	return tree + "\n\u2014 " + d.name + " " + base64.StdEncoding.EncodeToString(signature) + "\n"
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
