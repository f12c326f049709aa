package shape

import (
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
)

// Blob is a file's content that was stored.
func (s Shaper) Blob(r record.Repo, sha string) Object {
	return Object{"sha": sha, "url": s.repoAPI(r) + "/git/blobs/" + sha}
}

// Tree is a directory with what stands directly in it.
func (s Shaper) Tree(r record.Repo, sha string, entries []gitrepo.Entry) Object {
	list := []Object{}
	for _, e := range entries {
		kind := "trees"
		if e.Type == "blob" {
			kind = "blobs"
		}
		o := Object{"path": e.Path, "mode": e.Mode, "type": e.Type, "sha": e.SHA, "url": s.repoAPI(r) + "/git/" + kind + "/" + e.SHA}
		if e.Type == "blob" {
			o["size"] = e.Size
		}
		list = append(list, o)
	}
	return Object{"sha": sha, "url": s.repoAPI(r) + "/git/trees/" + sha, "truncated": false, "tree": list}
}

// GitCommit is a commit as Git has it, without what GitHub knows of it.
func (s Shaper) GitCommit(r record.Repo, c gitrepo.Info) Object {
	full := s.Commit(r, c)
	o := full["commit"].(Object) //nolint:errcheck // Commit writes an object
	delete(o, "comment_count")
	for _, key := range []string{"sha", "node_id", "html_url", "parents"} {
		o[key] = full[key]
	}
	return o
}

// Ref is a branch by its full name.
func (s Shaper) Ref(r record.Repo, name, sha string) Object {
	return Object{
		"ref": name, "node_id": "REF_" + sha, "url": s.repoAPI(r) + "/git/" + name,
		"object": Object{"type": "commit", "sha": sha, "url": s.repoAPI(r) + "/git/commits/" + sha},
	}
}
