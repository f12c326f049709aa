package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"weir/integration/sandbox"
	"weir/server/control"
)

// complaints collects what a browser says on its console.
func complaints(ctx context.Context) func() []string {
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, fmt.Sprint(m))
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// picture shows the page as it is, with all that is folded, on a telephone and
// on a desk, by day and by night: nothing is wider than the window. Where
// WEIR_SCREENSHOTS names a folder, people can look at it there.
func (w *world) picture(ctx context.Context, name string) {
	w.t.Helper()
	do(ctx, w.t, chromedp.Navigate(w.url+"/drift"))
	for _, width := range []int64{380, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			do(ctx, w.t, chromedp.EmulateViewport(width, 800))
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			}); err != nil {
				w.t.Fatal(err)
			}
			for _, folds := range []string{"closed", "open"} {
				evaluate[int](ctx, w.t, fmt.Sprintf(`(() => { for (const d of document.querySelectorAll("details")) d.open = %t; return 0 })()`, folds == "open"))
				if over := evaluate[int](ctx, w.t, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
					w.t.Errorf("%s, %s, %d wide: %d pixels wider than the window", name, folds, width, over)
				}
				if wide := evaluate[[]string](ctx, w.t, `[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".hidden")).map(e => e.outerHTML.slice(0, 200))`); len(wide) > 0 && width < 640 {
					w.t.Errorf("%s, %s, %d wide: out of sight: %q", name, folds, width, wide)
				}
				dir := os.Getenv("WEIR_SCREENSHOTS")
				if dir == "" {
					continue
				}
				image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				w.do(err)
				w.do(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s-%s.png", name, width, scheme, folds)), image, 0o600))
			}
		}
	}
}

// shown is a row of the page.
type shown struct {
	Cells   map[string]string `json:"cells"`   // by their headings
	Classes []string          `json:"classes"` // of the states
	More    string            `json:"more"`    // what is folded
}

const rowsOnPage = `Object.fromEntries([...document.querySelectorAll("tbody tr:not(.more)")].map(tr => {
	const more = tr.nextElementSibling;
	for (const d of document.querySelectorAll("details")) d.open = true;
	return [tr.querySelector("th").innerText, {
		cells: Object.fromEntries([...tr.querySelectorAll("td")].map(td => [td.dataset.label, td.innerText])),
		classes: [...tr.querySelectorAll(".state")].map(s => s.className),
		more: more?.classList.contains("more") ? more.innerText : "",
	}];
}))`

// TestDriftPage: all that a project can be is on the page of drift.
func TestDriftPage(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	said := complaints(ctx)
	const evil = `<img src=x onerror=alert(1)>`
	w := newWorld(t, setup{gate: true, config: append(providers(t), "WEIR_DRIFT_SCHEDULE="+daily()), files: map[string]string{"README.md": "infra"}})
	files := map[string]string{}
	for _, name := range []string{"dev", "net", "stage"} {
		files[name+"/main.tf"] = w.project(name, "locals { nothing = 1 }")
	}
	w.push("main", files)
	do(ctx, t, chromedp.Navigate(w.url+"/drift"))
	if text := evaluate[string](ctx, t, `document.body.innerText`); !strings.Contains(text, "nothing was checked yet") {
		t.Errorf("before the first check the page says\n%s", text)
	}

	// Nothing differs: one quiet green line, and the rest when it is unfolded.
	w.look("")
	w.until("the next check is known", func() bool { return strings.Contains(w.get("/api/v1/drift"), `"next":`) })
	w.picture(ctx, "quiet")
	do(ctx, t, chromedp.Navigate(w.url+"/drift"))
	if states := evaluate[[]string](ctx, t, `[...document.querySelectorAll(".state")].filter(s => s.checkVisibility()).map(s => s.className + ": " + s.innerText)`); !slices.Equal(states, []string{"state good: no drift in 3 projects"}) {
		t.Errorf("where nothing differs the page shows %q, want one green line", states)
	}

	// A state that knows of a file which is not there, a check that fails with
	// markup in its name and words, one project in flight and one being applied.
	w.do(os.MkdirAll(filepath.Dir(w.state("prod")), 0o700))
	w.do(os.WriteFile(w.state("prod"), []byte(fmt.Sprintf(motdState, w.outside("prod"))), 0o600))
	w.push("main", map[string]string{
		"prod/main.tf":  w.motd("prod", "hello"),
		evil + "/a.tf":  w.project("evil", "variable \"a\" {\n  default = 1\n  validation {\n    condition     = var.a == 2\n    error_message = \"No <script>alert(2)</script><img src=x onerror=alert(3)> here.\"\n  }\n}\nresource \"terraform_data\" \"a\" {}"),
		"weir.yaml":     "version: 1\ndrift:\n  - dirs: [prod]\n    schedule: \"off\"\n    severity:\n      - {types: [local_file], severity: high}\n    ignore:\n      - {address: \"data.<b>other</b>\", owner: alice, reason: sale, until: 2999-12-31}\n",
		"dev/more.tf":   "# more\n",
		"stage/more.tf": "# more\n",
	})
	flying := w.pull("flying", map[string]string{"dev/more.tf": resource("one")})
	applied := w.pull("applied", map[string]string{"stage/more.tf": resource("one")})
	w.check(flying.HeadSHA, "weir/plan", "success")
	w.check(applied.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.look("")
	prod := w.issue("prod", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "prod") })
	w.hold("apply")
	w.review("bob", applied, "APPROVE")
	w.held("apply")
	_, err := control.Ask(t.Context(), filepath.Join(w.dir, "weir"), control.Request{Repo: repo, Dir: "stage"})
	w.do(err)
	w.until("stage is put off", func() bool { return strings.Contains(w.get("/drift"), "put off") })

	w.picture(ctx, "drift")
	w.looks(ctx, "/drift", "1 of 5 projects differs from the code, 1 check failed")
	do(ctx, t, chromedp.Navigate(w.url+"/drift"))
	if folded := evaluate[[]string](ctx, t, `[...document.querySelectorAll("summary")].filter(s => s.checkVisibility()).map(s => s.firstChild.textContent)`); !slices.Equal(folded, []string{"Why", "What differs", "Rules that hide nothing", "2 projects without drift"}) {
		t.Errorf("what can be unfolded is %q", folded)
	}
	rows := evaluate[map[string]shown](ctx, t, rowsOnPage)
	for _, c := range []struct {
		project, tone string
		want          map[string][]string
		more          []string
	}{
		{"prod", "bad", map[string][]string{
			"Drift": {"1 deleted outside", "1 merged, never applied", "high severity"}, "Since": {"UTC", "new"}, "Last check": {"UTC", "▮", "of 1 check 1 found drift"}, "Next check": {"on demand"},
			"Issue": {fmt.Sprintf("#%d", prod.Number)},
		}, []string{
			"deleted outside local_file.motd", "terraform_data.value", "weir drift revert\nweir drift adopt\nweir drift accept --owner NAME --reason \"WHY\" --until YYYY-MM-DD\nweir drift check",
			"the rule for data.<b>other</b> of alice matches nothing",
		}},
		{evil, "bad", map[string][]string{"Drift": {"check failed"}, "Since": {"UTC"}, "Last check": {"×"}, "Next check": {"UTC"}}, []string{
			"No <script>alert(2)</script><img src=x onerror=alert(3)> here.", "to check again, write\n\nweir drift check",
		}},
		{"dev", "good", map[string][]string{"Drift": {"no drift", fmt.Sprintf("in flight: #%d", flying.Number)}, "Since": {"–"}, "Last check": {"UTC", "··"}, "Issue": {"none"}}, nil},
		{"stage", "good", map[string][]string{"Drift": {"no drift", fmt.Sprintf("put off: #%d is being applied", applied.Number)}, "Last check": {"··"}}, nil},
		{"net", "good", map[string][]string{"Drift": {"no drift"}, "Last check": {"··"}, "Next check": {"UTC"}}, nil},
	} {
		row, ok := rows[c.project]
		if !ok {
			t.Errorf("%s is not on the page; there are %v", c.project, rows)
			continue
		}
		for cell, want := range c.want {
			for _, text := range want {
				if !strings.Contains(row.Cells[cell], text) {
					t.Errorf("%s, %s: no %q in %q", c.project, cell, text, row.Cells[cell])
				}
			}
		}
		for _, text := range c.more {
			if !strings.Contains(row.More, text) {
				t.Errorf("%s: no %q in\n%s", c.project, text, row.More)
			}
		}
		if len(c.more) == 0 && row.More != "" {
			t.Errorf("%s unfolds to\n%s", c.project, row.More)
		}
		for _, class := range row.Classes {
			if class != "state "+c.tone {
				t.Errorf("%s looks %q, want %s", c.project, class, c.tone)
			}
		}
	}
	if n := evaluate[int](ctx, t, `document.querySelectorAll("main :is(img, script, b, iframe, [onerror])").length`); n != 0 {
		t.Errorf("%d elements are of others' making", n)
	}
	if link := evaluate[string](ctx, t, fmt.Sprintf(`[...document.querySelectorAll("td a")].find(a => a.innerText == "#%d").href`, prod.Number)); !strings.HasSuffix(link, fmt.Sprintf("/%s/issues/%d", repo, prod.Number)) {
		t.Errorf("the issue is at %s", link)
	}
	if all := said(); len(all) > 0 {
		t.Errorf("the console says %q", all)
	}
}

// motdState is a state in which the file of a motd project is deployed.
const motdState = `{
  "version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "00000000-0000-4000-8000-000000000000", "outputs": {},
  "resources": [{
    "mode": "managed", "type": "local_file", "name": "motd", "provider": "provider[\"registry.terraform.io/hashicorp/local\"]",
    "instances": [{"schema_version": 0, "attributes": {
      "content": "hello", "filename": %q, "id": "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d",
      "content_base64": null, "sensitive_content": null, "source": null, "directory_permission": "0777", "file_permission": "0777"
    }}]
  }]
}
`
