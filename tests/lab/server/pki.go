package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const day = 24 * time.Hour

// authority is a certificate that may issue others.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
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
	// appliance is the authority of a firewall that intercepts TLS.
	appliance *authority
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
	return &a, err
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
	default:
		return tls.Certificate{}, fmt.Errorf("unknown chain %q", kind)
	}

	leaf := template(pkix.Name{CommonName: names[0]}, start, end)
	leaf.DNSNames = names
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if issuer == a.issuing {
		leaf.IssuingCertificateURL = []string{"http://pki.lab.example/issuing-1.crt"}
	}
	signed, err := sign(leaf, issuer)
	if err != nil {
		return tls.Certificate{}, err
	}
	chain := tls.Certificate{Certificate: [][]byte{signed.certificate.Raw}, PrivateKey: signed.key}
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

// sign issues the template under a new key; without an issuer it signs itself.
func sign(t *x509.Certificate, issuer *authority) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	parent, signer := t, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}
