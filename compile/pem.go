package compile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// The kinds of PEM block that a manifest can name.
const (
	publicKeys   = "public key"
	certificates = "certificate"
)

// misfit says what keeps a PEM file from being of a kind, or is "". The blocks'
// contents are read too: a file that was cut off is found here, not by a host.
func misfit(text []byte, kind string) string {
	if hasPrivateKey(text) {
		return "holds a private key"
	}
	blocks := 0
	for rest := text; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				return "is damaged: a block of it is no PEM"
			}
			break
		}
		if why := misfitBlock(block, kind); why != "" {
			return why
		}
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "is empty"
	case blocks == 0:
		return "is no PEM file"
	case kind == publicKeys && blocks > 1:
		return "holds more than one key"
	}
	return ""
}

func misfitBlock(block *pem.Block, kind string) string {
	switch {
	case kind == certificates && block.Type == "CERTIFICATE":
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "holds a certificate that cannot be read"
		}
	case kind == publicKeys && block.Type == "PUBLIC KEY":
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return "holds a public key that cannot be read"
		}
	case kind == publicKeys && block.Type == "RSA PUBLIC KEY":
		if _, err := x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return "holds a public key that cannot be read"
		}
	default:
		return "holds a " + strings.ToLower(block.Type) + ", not a " + kind
	}
	return ""
}

// hasPrivateKey looks for the head of a private key of any kind.
func hasPrivateKey(text []byte) bool {
	for rest := text; ; {
		i := bytes.Index(rest, []byte("-----BEGIN "))
		if i < 0 {
			return false
		}
		rest = rest[i+len("-----BEGIN "):]
		head, _, _ := bytes.Cut(rest, []byte("-----"))
		if bytes.HasSuffix(head, []byte("PRIVATE KEY")) {
			return true
		}
	}
}
