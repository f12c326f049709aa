package rest

import (
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// endpoints is every route, with what an App and a person need for it.
func (a *API) endpoints() []endpoint {
	repo := "/repos/{owner}/{repo}"
	read := func(area string) hub.Need { return hub.Need{Area: area, Level: "read", Role: "read"} }
	write := func(area string, role record.Permission) hub.Need {
		return hub.Need{Area: area, Level: "write", Role: role}
	}
	own := func(area string) hub.Need { return hub.Need{Area: area} }
	return []endpoint{
		{"GET /rate_limit", own(needAny), a.rateLimit},
		{"GET /user", own(needUser), a.self},
		{"GET /app", own(needApp), a.app},
		{"GET /app/installations", own(needApp), a.installations},
		{"POST /app/installations/{id}/access_tokens", own(needApp), a.newToken},
		{"GET /app/hook/deliveries", own(needApp), a.deliveries},
		{"POST /app/hook/deliveries/{id}/attempts", own(needApp), a.redeliver},
		{"GET /installation/repositories", own(needToken), a.installationRepos},
		{"GET /orgs/{org}/teams/{team}/memberships/{user}", own(needAny), a.membership},

		{"GET " + repo, read("metadata"), a.getRepo},
		{"GET " + repo + "/installation", own(needApp), a.repoInstallation},
		{"GET " + repo + "/collaborators/{user}/permission", read("metadata"), a.permission},
		{"GET " + repo + "/branches/{branch}", read("contents"), a.branch},
		{"GET " + repo + "/branches/{branch}/protection", hub.Need{Area: "administration", Level: "read", Role: "admin"}, a.protection},
		{"GET " + repo + "/rules/branches/{branch}", read("metadata"), a.rules},

		{"GET " + repo + "/pulls", read("pull_requests"), a.pulls},
		{"POST " + repo + "/pulls", write("pull_requests", "read"), a.openPull},
		{"GET " + repo + "/pulls/{number}", read("pull_requests"), a.pull},
		{"PATCH " + repo + "/pulls/{number}", write("pull_requests", "triage"), a.editPull},
		{"GET " + repo + "/pulls/{number}/commits", read("pull_requests"), a.pullCommits},
		{"GET " + repo + "/pulls/{number}/files", read("pull_requests"), a.pullFiles},
		{"GET " + repo + "/pulls/{number}/reviews", read("pull_requests"), a.reviews},
		{"POST " + repo + "/pulls/{number}/reviews", write("pull_requests", "read"), a.addReview},
		{"PUT " + repo + "/pulls/{number}/reviews/{id}/dismissals", write("pull_requests", "write"), a.dismiss},
		{"PUT " + repo + "/pulls/{number}/merge", write("contents", "write"), a.merge},

		{"GET " + repo + "/git/ref/{ref...}", read("contents"), a.ref},
		{"POST " + repo + "/git/refs", write("contents", "write"), a.makeRef},
		{"PATCH " + repo + "/git/refs/{ref...}", write("contents", "write"), a.moveRef},
		{"DELETE " + repo + "/git/refs/{ref...}", write("contents", "write"), a.deleteRef},
		{"POST " + repo + "/git/blobs", write("contents", "write"), a.makeBlob},
		{"POST " + repo + "/git/trees", write("contents", "write"), a.makeTree},
		{"POST " + repo + "/git/commits", write("contents", "write"), a.makeCommit},
		{"GET " + repo + "/git/commits/{sha}", read("contents"), a.gitCommit},

		{"GET " + repo + "/issues", read("issues"), a.issues},
		{"GET " + repo + "/issues/{number}", read("issues"), a.issue},
		{"POST " + repo + "/issues", write("issues", "read"), a.openIssue},
		{"PATCH " + repo + "/issues/{number}", write("issues", "triage"), a.editIssue},
		{"GET " + repo + "/issues/{number}/comments", read("issues"), a.comments},
		{"POST " + repo + "/issues/{number}/comments", write("issues", "read"), a.addComment},
		{"GET " + repo + "/issue-comments/{id}", read("issues"), a.comment},
		{"PATCH " + repo + "/issue-comments/{id}", write("issues", "read"), a.editComment},
		{"DELETE " + repo + "/issue-comments/{id}", write("issues", "read"), a.deleteComment},
		{"GET " + repo + "/issue-comments/{id}/reactions", read("issues"), a.reactions},
		{"POST " + repo + "/issue-comments/{id}/reactions", write("issues", "read"), a.react},
		{"GET " + repo + "/issues/{number}/labels", read("issues"), a.labelsOf},
		{"POST " + repo + "/issues/{number}/labels", write("issues", "triage"), a.addLabels},
		{"DELETE " + repo + "/issues/{number}/labels/{name}", write("issues", "triage"), a.removeLabel},
		{"POST " + repo + "/issues/{number}/assignees", write("issues", "triage"), a.assign},
		{"DELETE " + repo + "/issues/{number}/assignees", write("issues", "triage"), a.unassign},
		{"GET " + repo + "/labels", read("issues"), a.labels},
		{"POST " + repo + "/labels", write("issues", "write"), a.makeLabel},

		{"POST " + repo + "/check-runs", write("checks", "write"), a.createCheck},
		{"GET " + repo + "/check-runs/{id}", read("checks"), a.check},
		{"PATCH " + repo + "/check-runs/{id}", write("checks", "write"), a.updateCheck},
		{"POST " + repo + "/statuses/{sha}", write("statuses", "write"), a.setStatus},
		{"GET " + repo + "/commits/{ref}", read("contents"), a.commit},
		{"GET " + repo + "/commits/{ref}/check-runs", read("checks"), a.checks},
		{"GET " + repo + "/commits/{ref}/statuses", read("statuses"), a.statuses},
		{"GET " + repo + "/commits/{ref}/status", read("statuses"), a.combinedStatus},
	}
}
