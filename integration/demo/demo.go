// Package demo shows weir's main job on one machine: it runs the server beside
// the sandbox, a GitHub of its own, and plays a story of two pull requests.
package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weir/integration/sandbox"
	"weir/server"
	"weir/server/config"
)

// Options of a demo.
type Options struct {
	Once    bool // print every comment, check each step, and end
	Version string
	Environ []string
	Out     io.Writer // the story
	Log     io.Writer // what the server logs; shown where a step fails, and with WEIR_LOG_LEVEL=debug
	Listen  string    // of the server; "" for 127.0.0.1 and a free port

	// What tests vary.
	token   bool                // weir speaks with a token, not as an App
	slow    bool                // GitHub works out later whether a pull request can be merged
	between func(string) string // puts something between weir and the API at a URL, and returns its URL
}

// Run plays the demo. Without Once it then keeps running until ctx ends, so
// that a visitor can go on in the sandbox's own page. An error says which step
// did not happen.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logFile, err := os.Create(filepath.Join(dir, "weir.log"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer logFile.Close()

	box, err := startSandbox(dir, o)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, box.Close()) }()

	srv, err := startServer(ctx, dir, box, o, logFile)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	box.SetHook(sandbox.Hook{URL: srv.URL() + "/webhook", Secret: webhookSecret})

	s := &story{box: box, weir: srv.URL(), out: o.Out, once: o.Once, token: o.token, told: map[int64]bool{}}
	if err := s.play(ctx); err != nil {
		if _, copyErr := copyFile(o.Log, logFile.Name()); copyErr != nil {
			err = errors.Join(err, copyErr)
		}
		return err
	}
	if o.Once {
		return nil
	}
	s.say(goOn, box.URL(), srv.URL())
	<-ctx.Done()
	s.say("\nStopping.\n")
	return s.err
}

const goOn = `
The story is over; both keep running until you press Ctrl-C.

  GitHub's stand-in   %s
  weir                %s

Go on there: push a commit (also a broken one), comment "weir explain", approve, merge.
`

const repo = "acme/infra"

var webhookSecret = rand.Text()

// machine is weir's own account where it has a token.
const machine = "weir-machine"

// people are made in this order: a visitor of the sandbox's page begins as the
// first one.
var people = []struct {
	login string
	right sandbox.Permission
}{{"alice", "write"}, {"bob", "write"}, {"carol", "write"}, {"mallory", "read"}}

//go:embed example
var example embed.FS

// startSandbox makes a GitHub with an App, some people and the example.
func startSandbox(dir string, o Options) (*sandbox.Sandbox, error) {
	states := filepath.Join(dir, "states")
	if err := os.MkdirAll(states, 0o700); err != nil {
		return nil, err
	}
	files := map[string]string{}
	err := fs.WalkDir(example, "example", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := example.ReadFile(path)
		files[strings.TrimPrefix(path, "example/")] = strings.ReplaceAll(string(data), "STATES", filepath.ToSlash(states))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(states, "prod.tfstate"), []byte(deployed("shop-prod", 3)), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(states, "dev.tfstate"), []byte(deployed("shop-dev", 1)), 0o600); err != nil {
		return nil, err
	}
	c := sandbox.Config{Dir: filepath.Join(dir, "github"), App: &sandbox.App{}, MergeableAtOnce: !o.slow, Log: slog.New(slog.DiscardHandler)}
	if o.token {
		c.App = nil
	}
	box, err := sandbox.Start(c)
	if err != nil {
		return nil, err
	}
	if _, err = box.CreateRepo("acme", "infra", files); err == nil && !o.token {
		_, err = box.Install("acme")
	}
	for _, person := range people {
		if err == nil {
			err = box.Grant(repo, person.login, person.right)
		}
	}
	if err == nil && o.token {
		err = box.Grant(repo, machine, "write")
	}
	if err == nil {
		err = box.Protect(repo, "main", sandbox.Protection{Checks: []string{"weir/plan", "weir/apply"}})
	}
	if err != nil {
		return nil, errors.Join(err, box.Close())
	}
	return box, nil
}

// deployed is the state of an environment as the example's code made it, so
// that the first plan changes things instead of creating everything.
func deployed(name string, servers int) string {
	object := func(attributes string) string { return `["object",{` + attributes + `}]` }
	var instances []string
	for i := range servers {
		value := fmt.Sprintf(`{"value":{"name":"%s-%d","size":"small"},"type":%s}`, name, i+1, object(`"name":"string","size":"string"`))
		instances = append(instances, fmt.Sprintf(
			`{"index_key":%d,"schema_version":0,"attributes":{"id":"server-%d","input":%s,"output":%s,"triggers_replace":null},"sensitive_attributes":[]}`,
			i, i+1, value, value))
	}
	value := fmt.Sprintf(`{"value":{"engine":"postgres-15","name":"%s-db"},"type":%s}`, name, object(`"engine":"string","name":"string"`))
	database := fmt.Sprintf(
		`{"schema_version":0,"attributes":{"id":"database-1","input":%s,"output":%s,"triggers_replace":{"value":["postgres-15"],"type":["tuple",["string"]]}},"sensitive_attributes":[]}`,
		value, value)
	resource := func(name, each, instances string) string {
		return fmt.Sprintf(`{"module":"module.shop","mode":"managed","type":"terraform_data","name":%q,%s"provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[%s]}`, name, each, instances)
	}
	return fmt.Sprintf(`{"version":4,"terraform_version":"1.0.0","serial":1,"lineage":%q,"outputs":{"servers":{"value":%d,"type":"number"}},"resources":[%s,%s],"check_results":null}`,
		rand.Text(), servers,
		resource("database", "", database), resource("server", `"each":"list",`, strings.Join(instances, ",")))
}

// startServer starts weir as it would be deployed, on a free port.
func startServer(ctx context.Context, dir string, box *sandbox.Sandbox, o Options, log io.Writer) (*server.Server, error) {
	api := box.APIURL()
	if o.between != nil {
		api = o.between(api)
	}
	environ := []string{
		"WEIR_LISTEN=" + cmp.Or(o.Listen, "127.0.0.1:0"),
		"WEIR_DATA_DIR=" + filepath.Join(dir, "weir"),
		"WEIR_GITHUB_BASE_URL=" + api,
		"WEIR_GITHUB_WEBHOOK_SECRET=" + webhookSecret,
		"WEIR_REPOS=acme/*",
		"WEIR_LOG_LEVEL=debug",
	}
	if o.token {
		environ = append(environ, "WEIR_GITHUB_TOKEN="+box.Token(machine))
	} else {
		key := filepath.Join(dir, "app.pem")
		if err := os.WriteFile(key, box.AppKey(), 0o600); err != nil {
			return nil, err
		}
		app, _ := box.App()
		environ = append(environ, "WEIR_GITHUB_APP_ID="+strconv.FormatInt(app.ID, 10), "WEIR_GITHUB_APP_PRIVATE_KEY_FILE="+key)
	}
	cfg, _, err := config.Load("", environ)
	if err != nil {
		return nil, err
	}
	return server.New(ctx, cfg, o.Environ, o.Version, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: cfg.Level()})))
}

func copyFile(w io.Writer, name string) (int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.Copy(w, file)
}
