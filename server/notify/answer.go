package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/drift/notice"
)

// judge says what an answer means.
func (s *Sender) judge(answer *http.Response) error {
	code := answer.StatusCode
	if code/100 == 2 {
		return nil
	}
	said := fmt.Sprintf("it answered %d %s", code, http.StatusText(code))
	if word := s.word(answer.Body); word != "" {
		said = fmt.Sprintf("it answered %d, %s", code, word)
	}
	switch {
	case code/100 == 3:
		return &notice.RefusedError{Reason: said + ": redirects are not followed; the URL that it leads to has to be configured"}
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		if at, ok := later(answer.Header.Get("Retry-After"), time.Now()); ok {
			return fmt.Errorf("notify %s: %w", s.name, &LaterError{reason: said, at: at})
		}
	case code == http.StatusRequestTimeout, code/100 != 4:
	default:
		return &notice.RefusedError{Reason: said}
	}
	return fmt.Errorf("notify %s: %s", s.name, said)
}

var oneWord = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)

// word is what an answer says where that is a code such as Slack's no_service.
// Anything else might be what was sent, with the secrets that it was sent with.
func (s *Sender) word(body io.Reader) string {
	data, _ := io.ReadAll(io.LimitReader(body, maxAnswer)) // half an answer is no word
	word := strings.TrimSpace(string(data))
	if len(word) > 40 || !oneWord.MatchString(word) || strings.Contains(s.url.String(), word) || strings.Contains(string(s.secret), word) {
		return ""
	}
	return word
}

// later reads a Retry-After (RFC 9110, 10.2.3): seconds, or a date.
func later(value string, now time.Time) (time.Time, bool) {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return now.Add(min(time.Duration(seconds)*time.Second, maxLater)), true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}, false
	}
	if at.After(now.Add(maxLater)) {
		at = now.Add(maxLater)
	}
	return at, true
}

// why says why there was no answer, in words of its own: those of an error may
// hold the URL, where a redirect leads, or what the other side said.
func why(err error) string {
	var (
		timedOut  net.Error
		unknown   *net.DNSError
		number    syscall.Errno
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timedOut) && timedOut.Timeout():
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.As(err, &unknown):
		return "its host cannot be found"
	case errors.As(err, &authority):
		return "its certificate is by nobody that this machine trusts"
	case errors.As(err, &name):
		return "its certificate is for another host"
	case errors.As(err, &invalid):
		return "its certificate is not valid now"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS"
	case errors.As(err, &number):
		return number.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection without an answer"
	}
	return "there was no answer that can be understood"
}
