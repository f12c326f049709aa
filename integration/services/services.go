// Package services runs stand-ins for AWS on this machine for tests: DynamoDB
// Local, which is Amazon's own, and the moto server for S3, SQS and STS.
// scripts/get-services fetches both.
package services

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// T is what this package needs of a *testing.T.
type T interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// Dynamo returns the URL of an empty DynamoDB that all tests of one binary
// share: each takes a table of its own name. It is started at the first call
// and ends with the test binary, however that ends. The environment gets
// credentials that DynamoDB Local takes, as AWS does.
//
// Where it is not installed the test is skipped, and fails if CI is set.
func Dynamo(t T) string {
	t.Helper()
	return dynamo.endpoint(t)
}

// AWS returns the URL of a server that speaks S3, SQS and STS, all three at one
// address and S3 with the bucket in the path. It is shared, ends, and is skipped
// as Dynamo. The environment gets credentials that are worth nothing anywhere,
// so that no test ever talks to an account of somebody's.
func AWS(t T) string {
	t.Helper()
	return aws.endpoint(t)
}

// service is one program, started at most once.
type service struct {
	name string
	// command returns the program and its arguments for a port, in a folder
	// that holds what scripts/get-services installed.
	command func(dir, port string) []string
	// installed is a file in that folder that says the program is there.
	installed string

	once    sync.Once
	running process
	missing error // nothing is installed
	failed  error // what is installed does not start
}

var (
	dynamo = &service{
		name: "DynamoDB Local", installed: ".dynamodb/.made-from",
		command: func(dir, port string) []string {
			jars := filepath.Join(dir, ".dynamodb")
			return []string{
				"java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-Djava.library.path=" + jars, "-cp", filepath.Join(jars, "*"),
				"software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", port,
			}
		},
	}
	aws = &service{
		name: "the moto server", installed: ".venv/.made-from",
		command: func(dir, port string) []string {
			return []string{filepath.Join(dir, ".venv", "bin", "python"), "-m", "moto.server", "-H", "127.0.0.1", "-p", port}
		},
	}
)

func (s *service) endpoint(t T) string {
	t.Helper()
	s.once.Do(s.begin)
	switch {
	case s.failed != nil:
		t.Fatal(s.failed)
	case s.missing != nil && os.Getenv("CI") != "":
		t.Fatal(s.missing)
	case s.missing != nil:
		t.Skip("!!! SKIPPED:", s.missing)
	}
	return s.running.url
}

func (s *service) begin() {
	dir, err := folder()
	if err != nil {
		s.failed = err
		return
	}
	if _, err := os.Stat(filepath.Join(dir, s.installed)); err != nil || runtime.GOOS == "windows" {
		s.missing = fmt.Errorf("%s is not here: run scripts/get-services", s.name)
		return
	}
	if err := credentials(); err != nil {
		s.failed = err
		return
	}
	s.running, s.failed = start(s.name, func(port string) []string { return s.command(dir, port) })
}

// folder finds this package's folder from wherever a test runs in the module.
func folder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod")) // #nosec G304 -- the module that is tested
		if err == nil && strings.HasPrefix(string(mod), "module weir\n") {
			return filepath.Join(dir, "integration", "services"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find integration/services: not within the module")
		}
	}
}

// environment is what the SDK looks for. DynamoDB Local takes only letters and
// digits as an access key.
var environment = map[string]string{
	"AWS_ACCESS_KEY_ID":           "local",
	"AWS_SECRET_ACCESS_KEY":       "local",
	"AWS_REGION":                  "eu-west-1",
	"AWS_CONFIG_FILE":             os.DevNull,
	"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	"AWS_EC2_METADATA_DISABLED":   "true",
}

var credentials = sync.OnceValue(func() error {
	for name, value := range environment {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return errors.Join(os.Unsetenv("AWS_SESSION_TOKEN"), os.Unsetenv("AWS_PROFILE"))
})
