package ca

import (
	"bytes"
	encoding "encoding/asn1"
	"encoding/base64"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// What a PKCS#12 file is made of (RFC 7292, section 4 and appendix D), and what a JVM looks for in it: without the last one, of
// Oracle's, which says what a certificate may be trusted for, it is to a JVM no root of trust (sun.security.pkcs12.PKCS12KeyStore).
var (
	oidData            = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidCertBag         = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509Certificate = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName    = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidAnyUsage        = encoding.ObjectIdentifier{2, 5, 29, 37, 0}
	oidTrustedKeyUsage = encoding.ObjectIdentifier{2, 16, 840, 1, 113894, 746875, 1, 1}
)

// tagBMPString is that of text in UTF-16 (X.680, section 8.4).
const tagBMPString = asn1.Tag(30)

// bagSize is more than a bag has beside its certificate.
const bagSize = 128

// JavaTrustStore returns the certificates of a [Bundle] as a PKCS#12 file that a JVM takes for javax.net.ssl.trustStore. It has no
// password: what it holds is public, a JVM without one asks for none, and the key derivation of an encrypted store would cost
// every JVM its time. JDKs since 8u301, 11.0.12 and 17 make and read such files (JDK-8076190). A block that is not base64 is left
// out. It is written here, and not by a library for all of PKCS#12, because that takes several times as long, at each start.
func JavaTrustStore(bundle []byte) ([]byte, error) {
	room := len(bundle)*3/4 + (bytes.Count(bundle, beginCertificate)+1)*bagSize
	b := cryptobyte.NewBuilder(make([]byte, 0, room))
	sequence(b, func(b *cryptobyte.Builder) { // PFX
		b.AddASN1Int64(3)
		addData(b, func(b *cryptobyte.Builder) { // AuthenticatedSafe
			addData(b, func(b *cryptobyte.Builder) { addBags(b, bundle) }) // SafeContents
		})
	})
	store, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding the truststore: %w", err)
	}
	return store, nil
}

func sequence(b *cryptobyte.Builder, content cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, content)
}

// addData adds a ContentInfo that is not encrypted, with a sequence in it.
func addData(b *cryptobyte.Builder, content cryptobyte.BuilderContinuation) {
	sequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		inOctets(b, func(b *cryptobyte.Builder) { sequence(b, content) })
	})
}

// inOctets adds [0] EXPLICIT OCTET STRING.
func inOctets(b *cryptobyte.Builder, content cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1(asn1.OCTET_STRING, content) })
}

func addBags(b *cryptobyte.Builder, bundle []byte) {
	var der []byte
	count := 0
	for {
		var body []byte
		_, bundle, _ = bytes.Cut(bundle, beginCertificate)
		if body, bundle, _ = bytes.Cut(bundle, endCertificate); len(body) == 0 {
			return
		}
		var err error
		if der, err = base64.StdEncoding.AppendDecode(der[:0], body); err != nil {
			continue
		}
		count++
		// Names must differ, or one entry would take the place of another; subjects do not always.
		addBag(b, der, fmt.Sprintf("kz-%d", count))
	}
}

// addBag adds one certificate as it is: it is not parsed here.
func addBag(b *cryptobyte.Builder, der []byte, name string) {
	sequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidCertBag)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidX509Certificate)
				inOctets(b, func(b *cryptobyte.Builder) { b.AddBytes(der) })
			})
		})
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { // in the order of DER: the shorter one first
			addAttribute(b, oidTrustedKeyUsage, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidAnyUsage) })
			addAttribute(b, oidFriendlyName, func(b *cryptobyte.Builder) {
				b.AddASN1(tagBMPString, func(b *cryptobyte.Builder) {
					for _, unit := range utf16.Encode([]rune(name)) {
						b.AddUint16(unit)
					}
				})
			})
		})
	})
}

func addAttribute(b *cryptobyte.Builder, id encoding.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	sequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(asn1.SET, value)
	})
}
