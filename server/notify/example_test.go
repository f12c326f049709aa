package notify_test

import (
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"weir/server/notify"
)

// A receiver: what is not signed, or not from now, is turned away before it is
// read as JSON.
func ExampleSignature() {
	secret := []byte("a secret of weir, at least 16 bytes")
	receiver := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		timestamp := r.Header.Get("X-Weir-Timestamp")
		seconds, _ := strconv.ParseInt(timestamp, 10, 64)
		age := time.Since(time.Unix(seconds, 0)).Abs()
		expected := notify.Signature(secret, timestamp, body)
		if err != nil || age > 5*time.Minute || !hmac.Equal([]byte(r.Header.Get("X-Weir-Signature-256")), []byte(expected)) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	for _, age := range []time.Duration{0, time.Hour} {
		timestamp := strconv.FormatInt(time.Now().Add(-age).Unix(), 10)
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		request.Header.Set("X-Weir-Timestamp", timestamp)
		request.Header.Set("X-Weir-Signature-256", notify.Signature(secret, timestamp, []byte("{}")))
		answer := httptest.NewRecorder()
		receiver(answer, request)
		fmt.Println(answer.Code)
	}
	// Output:
	// 200
	// 401
}
