package notice

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/store"
)

// partition holds OWNER/REPO#TARGET: what a target has heard of a repository.
const partition = "drift-heard"

// keyOf is exact: a repository's name holds no '#'. Records are never deleted,
// so that numbers of notices never come again.
func keyOf(repo, target string) store.Key {
	return store.Key{Partition: partition, Sort: repo + "#" + short(target, 16)}
}

// heard is what a target has heard of a repository. It is stored before a
// notice is sent, with what the notice tells marked as unsure, and after it,
// with all of it as heard. So what may have been heard, and may not, is told
// again.
type heard struct {
	Number int    `json:"number"`          // of the newest notice
	Intent string `json:"intent,omitzero"` // what it says, while that may not have been heard

	// Projects that are not in order, or unsure, by keep of their names.
	Projects map[string]known `json:"projects,omitempty"`
}

// known is a state, behind unsure where a notice is on its way that tells of
// another one.
type known string

const unsure = "?"

func (k known) state() state { return state(strings.TrimPrefix(string(k), unsure)) }
func (k known) sure() bool   { return !strings.HasPrefix(string(k), unsure) }
func (k known) doubt() known { return unsure + known(k.state()) }

// kept stands for a name that is too long to be kept, or that JSON would
// change. No name of a project begins with slashes.
const kept = "//"

func shortName(name string) string { return kept + short(name, 12) }

// find returns under which name a project is known, its own if it is not.
func (h heard) find(project string) string {
	name := shortName(project)
	if _, ok := h.Projects[name]; ok || !keepable(project) {
		return name
	}
	return project
}

func keepable(name string) bool { return utf8.ValidString(name) && !strings.HasPrefix(name, kept) }

// encode returns a record that fits into the store. Where names are too much,
// the longest give way to digests, and their projects cannot be named any more
// once they are gone. That leaves room for some 10,000 projects that differ;
// with more there is an error.
func (h heard) encode() ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil || len(body) <= store.MaxBody {
		return body, err
	}
	over := len(body) - store.MaxBody
	h.Projects = maps.Clone(h.Projects)
	names := slices.SortedFunc(maps.Keys(h.Projects), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	for _, name := range names {
		brief := shortName(name)
		if over <= 0 || len(name) <= len(brief) || strings.HasPrefix(name, kept) {
			break
		}
		h.Projects[brief] = h.Projects[name]
		delete(h.Projects, name)
		over -= len(name) - len(brief)
	}
	if body, err = json.Marshal(h); err == nil && len(body) > store.MaxBody {
		err = fmt.Errorf("%d projects differ: more than can be told apart", len(h.Projects))
	}
	return body, err
}

func decode(r store.Record) (heard, error) {
	var h heard
	if r.Version == 0 {
		return h, nil
	}
	if err := json.Unmarshal(r.Body, &h); err != nil {
		return h, fmt.Errorf("read %s: %w", r.Key, err)
	}
	return h, nil
}
