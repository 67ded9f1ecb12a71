package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the cause of an Error, as far as somebody would act on it.
type Kind string

const (
	UnknownHost  Kind = "unknown host"
	Unreachable  Kind = "unreachable"  // refused, reset, silent
	Untrusted    Kind = "untrusted"    // its certificate
	Unauthorized Kind = "unauthorized" // no credentials, or wrong ones
	Denied       Kind = "denied"       // not with these credentials
	NotFound     Kind = "not found"    // the repository, or what was asked of it
	ReadOnly     Kind = "read-only"
	Immutable    Kind = "immutable tag"
	Busy         Kind = "busy"        // too many requests
	Unavailable  Kind = "unavailable" // its own failure
	Refused      Kind = "refused"     // anything else it does not accept
	Corrupt      Kind = "corrupt"     // content that is not what its digest says
)

// Error is an answer of a registry that was not hoped for, or none. It matches
// fs.ErrNotExist if Kind is NotFound. Its text holds no credentials, tokens or
// queries of addresses.
type Error struct {
	Kind    Kind
	Doing   string // "push to docker.io/acme/store"
	Host    string
	Status  int    // of HTTP; 0 if there was no answer
	Code    string // the registry's: "NAME_UNKNOWN"; "" if it gave none
	Message string // its words, one line
	Err     error  // the network's, if there was no answer, or half of one

	after  time.Duration // to wait, if it said so
	again  bool          // by what was being done, another attempt may help
	method string
	// deaf says that the host did not answer in TLS, and tlsFree that it need not.
	deaf, tlsFree bool
	// before says that the host had answered before it did not.
	before bool
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Doing != "" {
		b.WriteString(e.Doing + ": ")
	}
	switch e.Kind {
	case UnknownHost:
		fmt.Fprintf(&b, "there is no host %q", e.Host)
		return b.String()
	case Unreachable, Untrusted, Corrupt:
		if e.Kind != Corrupt {
			b.WriteString(e.Host + ": ")
		}
		b.WriteString(e.Message)
		return b.String()
	case Unauthorized:
		b.WriteString(e.Host + " does not accept the credentials")
		if e.Err == errNoCredentials {
			b.Reset()
			if e.Doing != "" {
				b.WriteString(e.Doing + ": ")
			}
			b.WriteString(e.Host + " wants credentials and there are none")
		}
	case Denied:
		b.WriteString("denied by " + e.Host)
	case NotFound:
		b.WriteString("not found")
	case ReadOnly:
		b.WriteString(e.Host + " is read-only")
	case Immutable:
		b.WriteString("the tag is immutable")
	case Busy, Unavailable:
		b.WriteString(e.Host + map[Kind]string{Busy: " is asked too often", Unavailable: " is out of order"}[e.Kind])
		if e.after > 0 {
			fmt.Fprintf(&b, ", and wants to be left alone for %s", e.after.Round(time.Second))
		}
	default:
		b.WriteString("refused by " + e.Host)
	}
	var said []string
	if e.Status != 0 {
		said = append(said, strconv.Itoa(e.Status))
	}
	if e.Code != "" {
		said = append(said, e.Code)
	}
	if e.Message != "" {
		said = append(said, e.Message)
	}
	if len(said) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(said, " "))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is fs.ErrNotExist and that is what happened.
func (e *Error) Is(target error) bool { return target == fs.ErrNotExist && e.Kind == NotFound }

// Help is what a person can do about it; "" if that goes without saying.
func (e *Error) Help() string {
	switch e.Kind {
	case UnknownHost:
		return "check the name of the registry, and the network"
	case Untrusted:
		return "SSL_CERT_FILE names a file with the certificate authority of a private registry"
	case Unauthorized:
		return "log in: docker login " + e.Host
	case Denied:
		return "the account that docker login " + e.Host + " knows may not do this; the repository may have to be created first"
	case ReadOnly:
		return "publish to another registry, or wait until it takes uploads again"
	case Immutable:
		return "raise revision in the family, or choose another tag"
	case Busy:
		return "log in for a higher limit, or come back later"
	case Unreachable:
		if e.before {
			return "it has answered before: see what became of the registry, and of the network"
		}
		if e.tlsFree {
			return "check the name and port of the registry"
		}
		return "check the name and port of the registry; one without TLS needs --plain-http " + e.Host
	}
	return ""
}

var errNoCredentials = errors.New("no credentials")

// answerError makes an Error of an answer from an address; its body is read and
// closed.
func (h *host) answerError(method string, from *url.URL, resp *http.Response) *Error {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	e := &Error{Host: h.at(from), Status: resp.StatusCode, method: method, after: retryAfter(resp.Header.Get("Retry-After"))}
	var said struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &said) == nil && len(said.Errors) > 0 {
		e.Code, e.Message = said.Errors[0].Code, said.Errors[0].Message
	}
	e.Code, e.Message = h.auth.hide(line(e.Code, 60)), h.auth.hide(line(e.Message, 300))
	if e.Message == "" && e.Code == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	e.Kind = kindOf(e)
	if (e.Kind == Unauthorized || e.Kind == Denied) && !h.is(from) {
		e.Kind = Refused // no other account would help: it was shown none
	}
	return e
}

func kindOf(e *Error) Kind {
	words := strings.ToLower(e.Code + " " + e.Message)
	writing := e.method != http.MethodGet && e.method != http.MethodHead
	switch s := e.Status; {
	case s == 429 || e.Code == "TOOMANYREQUESTS":
		return Busy
	case writing && s < 500 && strings.Contains(words, "immutable"):
		return Immutable
	case writing && (s == 405 || s < 500 && (strings.Contains(words, "read-only") || strings.Contains(words, "read only") || strings.Contains(words, "readonly"))):
		return ReadOnly
	case s == 401:
		return Unauthorized
	case s == 403:
		return Denied
	case s == 404:
		return NotFound
	case s >= 500 || s == 408 || s == 425:
		return Unavailable
	}
	return Refused
}

// line is s on one line, and not longer than most bytes.
func line(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == ' ' }), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// retryAfter reads seconds or a date; 0 if it is neither.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}

// networkError makes an Error of a request to an address that the network has broken.
// e is what is known of it.
func (h *host) networkError(ctx context.Context, to *url.URL, err error, e *Error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause // the caller's wish, not the registry's failure
	}
	e.Kind, e.Host, e.Err, e.Message = Unreachable, h.at(to), err, h.auth.hide(line(err.Error(), 300))
	e.tlsFree = h.c.mayBePlain(to.Host)
	h.mu.Lock()
	e.before = h.answered && h.is(to)
	h.mu.Unlock()
	var call *os.SyscallError
	if errors.As(err, &call) && !tellsMore(err, to.Host) {
		e.Message = call.Err.Error()
	}
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var unknownCA x509.UnknownAuthorityError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound && strings.TrimSuffix(dns.Name, ".") == to.Hostname(): // and not a proxy's
		e.Kind = UnknownHost
	case errors.As(err, &verify), errors.As(err, &unknownCA):
		e.Kind = Untrusted
	case withoutTLS(err) && !e.tlsFree:
		e.Message = "it does not speak TLS, and plain HTTP is not allowed for it"
	case e.deaf && !e.tlsFree:
		e.Message = "it does not answer to the opening of TLS: " + e.Message
	}
	return e
}

// tellsMore says whether the words around a failed system call tell more than the
// host: which of its addresses was called, or that it was a proxy's.
func tellsMore(err error, host string) bool {
	var op *net.OpError
	if !errors.As(err, &op) {
		return true
	}
	switch op.Op {
	case "read", "write", "readfrom", "writeto":
		return false
	}
	return op.Op != "dial" || op.Addr == nil || op.Addr.String() != host
}

// mine is the Error that a request ended in; nil if that was another error. One that
// was given up has none: what ctx was cancelled with may be the Error of another
// request, which has it. Nor has one whose body could not be read, which may come
// from a registry, too.
func mine(ctx context.Context, err error) *Error {
	if context.Cause(ctx) != nil {
		return nil
	}
	e, _ := err.(*Error)
	return e
}

// explain adds what was being done to an error, once.
func explain(err error, doing string) error {
	var e *Error
	if errors.As(err, &e) {
		if e.Doing == "" {
			e.Doing = doing
		}
		return err
	}
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// transient says whether trying again may help.
func (e *Error) transient() bool {
	switch e.Kind {
	case Busy, Unavailable:
		return e.again || e.Status != 501 && e.Status != 505
	case Unreachable:
		return !withoutTLS(e.Err)
	case Corrupt:
		return true
	}
	return e.again
}

// uploadLost says that a session has ended, or that what it holds was damaged on
// the way: the blob has to be sent anew.
func (e *Error) uploadLost() bool {
	if e.method != http.MethodPatch && e.method != http.MethodPut {
		return false
	}
	return e.Status == 404 && e.Code != "NAME_UNKNOWN" || e.Status == 416 ||
		e.Status == 400 && (slices.Contains([]string{"DIGEST_INVALID", "SIZE_INVALID"}, e.Code) || strings.HasPrefix(e.Code, "BLOB_UPLOAD"))
}

// blobsMissing says that a manifest names a blob that the registry does not have.
func (e *Error) blobsMissing() bool {
	return e.Code == "MANIFEST_BLOB_UNKNOWN" || e.Code == "BLOB_UNKNOWN" ||
		e.method == http.MethodPut && e.Status == 404 && e.Code != "NAME_UNKNOWN"
}
