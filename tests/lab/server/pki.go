package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	_ "crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

const day = 24 * time.Hour

// authority is a certificate that may issue others.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// authorities are those of one case, made anew at every start.
type authorities struct {
	// public plays a root that everybody trusts; issuing is its intermediate.
	public, issuing *authority
	// corporate is a company's own root, corporateIssuing its intermediate.
	corporate, corporateIssuing *authority
	// appliance is the authority of a firewall that intercepts TLS, applianceIssuing its intermediate.
	appliance, applianceIssuing *authority
	// gateway is the authority of one that bears no vendor's name.
	gateway *authority
	// others are those of single chains, with what is wrong in them.
	others map[string]*authority
}

func newAuthorities() (*authorities, error) {
	var a authorities
	var err error
	issue := func(target **authority, subject pkix.Name, issuer *authority) {
		if err == nil {
			*target, err = issueAuthority(subject, issuer)
		}
	}
	name := func(organization, commonName string) pkix.Name {
		return pkix.Name{Country: []string{"CH"}, Organization: []string{organization}, CommonName: commonName}
	}
	issue(&a.public, name("Lab Trust Services", "Lab Public Root R1"), nil)
	issue(&a.issuing, name("Lab Trust Services", "Lab Public Issuing CA 1"), a.public)
	issue(&a.corporate, name("Corp Example AG", "Corp Example Root CA"), nil)
	issue(&a.corporateIssuing, name("Corp Example AG", "Corp Example Issuing CA 3"), a.corporate)
	// The subject has the form in which a FortiGate names its factory authority.
	issue(&a.appliance, pkix.Name{
		Country: []string{"US"}, Province: []string{"California"}, Locality: []string{"Sunnyvale"},
		Organization: []string{"Fortinet"}, OrganizationalUnit: []string{"Certificate Authority"},
		CommonName: "FG100FTK00000000",
	}, nil)
	issue(&a.applianceIssuing, name("Zscaler Inc.", "Zscaler Intermediate Root CA (zscaler.net) (t)"), a.appliance)
	issue(&a.gateway, name("Corp Example AG", "Corp Example Web Gateway CA"), nil)
	if err == nil {
		err = a.issueOthers(name)
	}
	return &a, err
}

// issueOthers makes the authorities that only one chain needs.
func (a *authorities) issueOthers(name func(organization, commonName string) pkix.Name) error {
	a.others = map[string]*authority{}
	start := time.Now().Add(-365 * day)
	ca := func(subject pkix.Name, end time.Time) *x509.Certificate {
		t := template(subject, start, end)
		t.IsCA = true
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		return t
	}
	add := func(kind string, t *x509.Certificate, key crypto.Signer, issuer *authority) error {
		signed, err := signKey(t, key, issuer)
		a.others[kind] = signed
		return err
	}
	fresh := func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}
	long := start.Add(3650 * day)
	errs := []error{
		add("expired", ca(name("Lab Trust Services", "Lab Public Issuing CA 0"), time.Now().Add(-10*day)), fresh(), a.public),
		add("old", ca(name("Lab Trust Services", "Lab Old Root X3"), time.Now().Add(-10*day)), fresh(), nil),
	}
	constrained := ca(name("Lab Trust Services", "Lab Constrained CA 4"), long)
	constrained.PermittedDNSDomains, constrained.PermittedDNSDomainsCritical = []string{"corp.example"}, true
	errs = append(errs, add("constrained", constrained, fresh(), a.public))
	cross := ca(a.public.certificate.Subject, time.Now().Add(-10*day))
	errs = append(errs, add("cross", cross, a.public.key, a.others["old"]))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	errs = append(errs, err)
	if err == nil {
		errs = append(errs, add("rsa", ca(name("Lab Trust Services", "Lab Public RSA CA 2"), long), key, a.public))
	}
	return errors.Join(errs...)
}

// chainFor returns the chain that a server for names sends:
//
//	complete              leaf and intermediate under the public root
//	missing-intermediate  the leaf alone
//	misordered            leaf, public root and only then the intermediate
//	superfluous           complete, with a company's root behind it
//	not-yet-valid         complete, but the leaf begins in five days
//	expired               complete, but the leaf ended 30 days ago
//	other-name            complete, for a name that nobody asked for
//	private               leaf, intermediate and root of a company's authority
//	interception          leaf and root of an intercepting appliance
//	self-signed           a leaf that signed itself
//	default-certificate   the same, without the name that is asked for
//	expired-issuer        complete, but the intermediate ended ten days ago
//	expired-cross         complete, with an expired certificate of the root by an older root beside
//	no-names              complete, but the name stands in the common name alone
//	too-deep, too-shallow complete, for the names below the one that is asked for, and for the whole top-level domain
//	address-only          complete, for an address instead of a name
//	private-short         leaf and intermediate of a company's authority
//	private-leaf          the leaf alone of a company's authority
//	private-aia           the same, which says where its issuer is to be had
//	private-expired       private, but the leaf ended 30 days ago
//	gateway               leaf and root of an interceptor without a vendor's name
//	gateway-leaf          the leaf alone of that
//	interception-leaf     the leaf alone of an interceptor whose issuer bears a vendor's name
//	interception-expired  that of an appliance, whose leaf has ended
//	interception-other    that of an appliance, for another name
//	client-only           complete, for clients instead of servers
//	constrained           complete, but the intermediate may not issue for the name
//	negative-serial       complete, with a serial number below zero
//	sha1, md5             complete, signed with that and RSA
//	rsa, rsa-1024, rsa-pss, p384, ed25519  complete, with such keys and signatures
//	many-names            complete, with 400 names
func (a *authorities) chainFor(kind string, names []string) (tls.Certificate, error) {
	start := time.Now().Add(-20 * day)
	end := start.Add(90 * day)
	issuer, rest := a.issuing, []*authority{a.issuing}
	switch kind {
	case "complete":
	case "missing-intermediate":
		rest = nil
	case "misordered":
		rest = []*authority{a.public, a.issuing}
	case "superfluous":
		rest = []*authority{a.issuing, a.corporate}
	case "not-yet-valid":
		start, end = time.Now().Add(5*day), time.Now().Add(95*day)
	case "expired":
		start, end = time.Now().Add(-120*day), time.Now().Add(-30*day)
	case "other-name":
		names = []string{"www.parked.example", "parked.example"}
	case "private":
		issuer, rest = a.corporateIssuing, []*authority{a.corporateIssuing, a.corporate}
	case "interception":
		issuer, rest = a.appliance, []*authority{a.appliance}
	case "self-signed":
		issuer, rest = nil, nil
	case "expired-issuer":
		issuer = a.others["expired"]
		rest = []*authority{issuer}
	case "expired-cross":
		rest = []*authority{a.issuing, a.others["cross"]}
	case "constrained":
		issuer = a.others["constrained"]
		rest = []*authority{issuer}
	case "too-deep":
		names = []string{"*." + names[0]}
	case "too-shallow":
		names = []string{"*" + names[0][strings.LastIndexByte(names[0], '.'):]}
	case "private-short":
		issuer, rest = a.corporateIssuing, []*authority{a.corporateIssuing}
	case "private-leaf", "private-aia":
		issuer, rest = a.corporateIssuing, nil
	case "private-expired":
		issuer, rest = a.corporateIssuing, []*authority{a.corporateIssuing, a.corporate}
		start, end = time.Now().Add(-120*day), time.Now().Add(-30*day)
	case "gateway":
		issuer, rest = a.gateway, []*authority{a.gateway}
	case "gateway-leaf":
		issuer, rest = a.gateway, nil
	case "interception-leaf":
		issuer, rest = a.applianceIssuing, nil
	case "interception-expired":
		issuer, rest = a.appliance, []*authority{a.appliance}
		start, end = time.Now().Add(-120*day), time.Now().Add(-30*day)
	case "interception-other":
		issuer, rest = a.appliance, []*authority{a.appliance}
		names = []string{"www.parked.example", "parked.example"}
	case "default-certificate":
		issuer, rest = nil, nil
		names = []string{"localhost.localdomain"}
	case "sha1", "md5", "rsa", "rsa-1024", "rsa-pss":
		issuer = a.others["rsa"]
		rest = []*authority{issuer}
	case "no-names", "address-only", "client-only", "negative-serial", "p384", "ed25519", "many-names":
	default:
		return tls.Certificate{}, fmt.Errorf("unknown chain %q", kind)
	}

	leaf := template(pkix.Name{CommonName: names[0]}, start, end)
	leaf.DNSNames = names
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, err := leafKey(kind)
	if err != nil {
		return tls.Certificate{}, err
	}
	switch kind {
	case "no-names":
		leaf.DNSNames = nil
	case "address-only":
		leaf.DNSNames, leaf.IPAddresses = nil, []net.IP{net.IPv4(142, 250, 74, 113)}
	case "client-only":
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case "sha1", "md5":
		leaf.SignatureAlgorithm = x509.SHA1WithRSA
	case "rsa-pss":
		leaf.SignatureAlgorithm = x509.SHA256WithRSAPSS
	case "private-aia":
		leaf.IssuingCertificateURL = []string{"http://pki.corp.example/issuing-3.crt"}
	case "many-names":
		for i := range 400 {
			leaf.DNSNames = append(leaf.DNSNames, fmt.Sprintf("host-%03d.tenant.lab.example", i))
		}
	}
	if issuer == a.issuing {
		leaf.IssuingCertificateURL = []string{"http://pki.lab.example/issuing-1.crt"}
	}
	signed, err := signKey(leaf, key, issuer)
	if err != nil {
		return tls.Certificate{}, err
	}
	raw := signed.certificate.Raw
	switch kind {
	case "negative-serial":
		raw, err = resigned(signed.certificate, issuer, signed.certificate.SerialNumber.Bytes(), -1, crypto.SHA256)
	case "md5":
		// The identifiers of sha1WithRSAEncryption and md5WithRSAEncryption differ in their last byte (RFC 8017 appendix C).
		raw, err = resigned(signed.certificate, issuer, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05}, 4, crypto.MD5)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	chain := tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: signed.key}
	for _, above := range rest {
		chain.Certificate = append(chain.Certificate, above.certificate.Raw)
	}
	return chain, nil
}

func issueAuthority(subject pkix.Name, issuer *authority) (*authority, error) {
	start := time.Now().Add(-365 * day)
	t := template(subject, start, start.Add(3650*day))
	t.IsCA = true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return sign(t, issuer)
}

func template(subject pkix.Name, start, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: subject, NotBefore: start, NotAfter: end, BasicConstraintsValid: true,
	}
}

// leafKey is the key that a leaf of that kind has.
func leafKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "sha1", "md5", "rsa", "rsa-pss":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-1024":
		return rsa.GenerateKey(rand.Reader, 1024)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// sign issues the template under a new key; without an issuer it signs itself.
func sign(t *x509.Certificate, issuer *authority) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return signKey(t, key, issuer)
}

// signKey issues the template for a key.
func signKey(t *x509.Certificate, key crypto.Signer, issuer *authority) (*authority, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 119))
	if err != nil {
		return nil, err
	}
	// Of a known length, so that its place in the certificate can be found.
	t.SerialNumber = serial.SetBit(serial, 118, 1)
	parent, signer := t, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

// resigned is a certificate that crypto/x509 does not make: what is found in it is changed and the issuer signs it anew.
// Last is the new last byte of what is found; -1 sets its first bit instead, which makes an integer negative.
func resigned(c *x509.Certificate, issuer *authority, find []byte, last int, hash crypto.Hash) ([]byte, error) {
	change := func(in []byte) []byte {
		out := bytes.Clone(in)
		at := bytes.Index(out, find)
		if last < 0 {
			out[at] |= 0x80
		} else {
			out[at+len(find)-1] = byte(last)
		}
		return out
	}
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &parts); err != nil {
		return nil, err
	}
	tbs := change(c.RawTBSCertificate)
	algorithm := parts.Algorithm.FullBytes
	if last >= 0 {
		algorithm = change(algorithm)
	}
	digest := hash.New()
	digest.Write(tbs)
	signature, err := issuer.key.Sign(rand.Reader, digest.Sum(nil), hash)
	if err != nil {
		return nil, err
	}
	parts.TBS, parts.Algorithm = asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: algorithm}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(parts)
}
