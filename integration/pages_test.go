package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"weir/integration/services"
)

// browser starts a headless Chromium for a test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path != "" {
			break
		}
		path, _ = exec.LookPath(name) // the next one is tried
	}
	if path == "" {
		missing(t, "browser (chromium on the PATH, or CHROMIUM=path)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	// The first use starts the browser, and must not be what bounds its life.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// evaluate runs a script in the page.
func evaluate[T any](ctx context.Context, t *testing.T, script string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return value
}

func do(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// looks opens a page as wide as a telephone and as a desk, by day and by night:
// it says what is wanted, fits, and shows no Markdown as it is written.
func (w *world) looks(ctx context.Context, path string, want ...string) {
	t := w.t
	t.Helper()
	for _, width := range []int64{360, 390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			do(ctx, t, chromedp.EmulateViewport(width, 800))
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			}); err != nil {
				t.Fatal(err)
			}
			do(ctx, t, chromedp.Navigate(w.url+path))
			text := evaluate[string](ctx, t, `document.body.innerText`)
			over := evaluate[int](ctx, t, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
			for _, s := range want {
				if !strings.Contains(text, s) {
					t.Errorf("%s at %d, %s: no %q in\n%s", path, width, scheme, s, text)
				}
			}
			if strings.Contains(text, "`") {
				t.Errorf("%s shows Markdown as it is written:\n%s", path, text)
			}
			if over > 0 {
				t.Errorf("%s at %d: %d pixels wider than the window", path, width, over)
			}
			background := evaluate[string](ctx, t, `getComputedStyle(document.body).backgroundColor`)
			if dark := background != "rgb(255, 255, 255)"; dark != (scheme == "dark") {
				t.Errorf("%s in %s has the background %s", path, scheme, background)
			}
		}
	}
}

// TestDeadLettersOnThePages: an operator sees where they look that messages
// were put aside, and what to do.
func TestDeadLettersOnThePages(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	config := onAWS(t, newRecorder(), true)
	queue, err := url.Parse(strings.TrimPrefix(config[len(config)-1], "WEIR_DISPATCH="))
	if err != nil {
		t.Fatal(err)
	}
	server := services.AWS(t)
	awsCall(t, server, "sqs", "AmazonSQS.SendMessage", fmt.Sprintf(
		`{"QueueUrl": "%s/123456789012/%s-dead.fifo", "MessageBody": "{}", "MessageGroupId": "a", "MessageDeduplicationId": "a"}`,
		server, strings.TrimSuffix(queue.Host, ".fifo")))
	w := newWorld(t, setup{config: config})
	for _, path := range []string{"/", "/locks"} {
		w.looks(ctx, path, "Dispatch: have a look", "holds about 1", "docs/operations.md")
	}
	if text := w.get("/metrics"); !strings.Contains(text, "\nweir_dispatch_dead 1\n") {
		t.Error("/metrics has no dead letter")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	ctx := browser(t)
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	q := w.pull("later", map[string]string{"prod/more.tf": "# more\n"})
	w.comment(q, "locked", fmt.Sprintf("#%d", p.Number))
	run := w.pullAPI(p.Number).Projects[0].Run

	for path, want := range map[string][]string{
		"/": {"Change change", "Change later", "Pull requests"},
		fmt.Sprintf("/pulls/%s/%d", repo, p.Number): {"Change change", "prod", "approval of somebody with write access", "locks taken"},
		fmt.Sprintf("/pulls/%s/%d", repo, q.Number): {"Change later", fmt.Sprintf("#%d", p.Number)},
		"/runs/" + run: {"terraform_data.a", "1 to create"},
		"/locks":       {"prod", fmt.Sprintf("#%d", p.Number), fmt.Sprintf("#%d", q.Number)},
		"/nowhere":     {"nothing at this address"},
	} {
		w.looks(ctx, path, want...)
	}

	// By keyboard: the first stop leads past the navigation.
	do(ctx, t, chromedp.Navigate(w.url+"/locks"), chromedp.KeyEvent("\t"))
	if first := evaluate[string](ctx, t, `document.activeElement.getAttribute("href")`); !strings.HasPrefix(first, "#") {
		t.Errorf("the first stop of the keyboard leads to %q, want a place on the page", first)
	}
}

func TestLiveLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"prod/main.tf": ""}})
	ctx := browser(t)
	go_ := w.dir + "/go-on"
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", fmt.Sprintf(`
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "echo it has begun; while [ ! -e %s ]; do sleep 0.05; done; echo it has ended" }
}
`, go_))})
	t.Cleanup(func() { _ = os.WriteFile(go_, nil, 0o600) }) // so that a failed test ends
	w.comment(p, "plan", "terraform_data.a")
	w.review("bob", p, "APPROVE")
	var run string
	w.until("the apply runs", func() bool {
		project := w.pullAPI(p.Number).Projects[0]
		run = project.Run
		return project.State == "applying"
	})
	// Opened while it runs; what comes later appears without a reload.
	do(ctx, t, chromedp.Navigate(w.url+"/runs/"+run))
	shows := func(text string) func() bool {
		return func() bool {
			// While the page loads anew there is nothing to ask.
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`document.body.innerText.includes(%q)`, text)))
			return ok && err == nil
		}
	}
	w.until("the page shows the beginning", shows("it has begun"))
	w.do(os.WriteFile(go_, nil, 0o600))
	w.until("the page shows the end", shows("it has ended"))
	w.check(p.HeadSHA, "weir/apply", "success")
	// And without any script it is all there.
	if text := w.get("/runs/" + run); !strings.Contains(text, "it has begun") || !strings.Contains(text, "it has ended") {
		t.Errorf("the page does not hold the log:\n%s", text)
	}
}

// TestAPI holds the OpenAPI document and the answers equal.
func TestAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.quiet()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData([]byte(w.get("/api/v1/openapi.json")))
	w.do(err)
	w.do(doc.Validate(loader.Context))
	doc.Servers = openapi3.Servers{{URL: w.url + "/api/v1"}}
	router, err := gorillamux.NewRouter(doc)
	w.do(err)
	run := w.pullAPI(p.Number).Projects[0].Run
	for path, status := range map[string]int{
		"/locks": 200,
		"/drift": 200,
		fmt.Sprintf("/pulls/%s/%d", repo, p.Number): 200,
		"/pulls/acme/infra/99":                      404,
		"/pulls/acme/infr/1":                        404,
		"/runs/" + run:                              200,
		"/runs/nothing":                             404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1"+path, nil)
		w.do(err)
		resp, err := http.DefaultClient.Do(req)
		w.do(err)
		body, err := io.ReadAll(resp.Body)
		w.do(err)
		w.do(resp.Body.Close())
		if resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
		route, params, err := router.FindRoute(req)
		w.do(err)
		input := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
			Status:                 resp.StatusCode, Header: resp.Header,
		}
		input.SetBodyBytes(body)
		if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
			t.Errorf("%s: %v\n%s", path, err, body)
		}
	}
}

func TestPagesAreClosedToOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_PAGES_USER=weir", "WEIR_PAGES_PASSWORD=open sesame"}})
	ask := func(path, user, password, host string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		w.do(err)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		w.do(err)
		w.do(resp.Body.Close())
		return resp.StatusCode
	}
	for path, want := range map[string]int{"/": 401, "/locks": 401, "/api/v1/locks": 401, "/healthz": 200, "/readyz": 200} {
		if got := ask(path, "", "", ""); got != want {
			t.Errorf("%s without a password: %d, want %d", path, got, want)
		}
	}
	if got := ask("/locks", "weir", "wrong", ""); got != 401 {
		t.Errorf("wrong password: %d", got)
	}
	if got := ask("/locks", "weir", "open sesame", ""); got != 200 {
		t.Errorf("right password: %d", got)
	}
	open := newWorld(t, setup{})
	w = open
	if got := ask("/locks", "", "", "evil.example.com"); got != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", got)
	}
	if got := ask("/locks", "", "", "localhost"); got != 200 {
		t.Errorf("as localhost: %d", got)
	}
}
