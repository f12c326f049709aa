package rest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// StaticToken returns a token that never changes, for Config.Token.
func StaticToken(token string) func() (string, error) {
	return func() (string, error) { return token, nil }
}

// TokenFile returns the token that a file holds, for Config.Token. It is read
// again when the file has changed, so that a token can be rotated under a
// running server. While the file cannot be read the last token is used.
func TokenFile(path string) func() (string, error) {
	var mu sync.Mutex
	var token string
	var modified time.Time
	var size int64
	return func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path)
		if err == nil && token != "" && info.ModTime().Equal(modified) && info.Size() == size {
			return token, nil
		}
		var b []byte
		if err == nil {
			b, err = os.ReadFile(path)
		}
		if err == nil && strings.TrimSpace(string(b)) == "" {
			err = fmt.Errorf("%s is empty", path)
		}
		if err != nil {
			if token != "" {
				return token, nil // it is being replaced
			}
			return "", fmt.Errorf("read GitHub's token: %w", err)
		}
		token, modified, size = string(b), info.ModTime(), info.Size()
		return token, nil
	}
}

// cleanToken asks for the token and checks that it can stand in a header. Its
// errors do not show it.
func cleanToken(f func() (string, error)) (string, error) {
	token, err := f()
	if err != nil {
		return "", err
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", errors.New("GitHub's token is empty")
	}
	for _, c := range token {
		if c <= ' ' || c > '~' {
			return "", errors.New("GitHub's token holds a character that no token has, such as a space or a line break")
		}
	}
	return token, nil
}
