package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hooks"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

func (a *API) rateLimit(*call) (answer, error) {
	rate := shape.Object{"limit": 5000, "remaining": 4999, "used": 1, "reset": time.Now().Add(time.Hour).Unix()}
	search := shape.Object{"limit": 30, "remaining": 30, "used": 0, "reset": time.Now().Add(time.Minute).Unix()}
	return ok(shape.Object{"rate": rate, "resources": shape.Object{"core": rate, "search": search, "graphql": rate}})
}

func (a *API) self(c *call) (answer, error) { return ok(a.Shape().PublicUser(c.who.User)) }

func (a *API) app(*call) (answer, error) {
	app, _ := a.Hub.App() // the App's token proves that there is one
	o := a.Shape().App(app)
	o["installations_count"] = len(a.Hub.Installations())
	return ok(o)
}

func (a *API) installations(c *call) (answer, error) {
	return ok(list(page(a, c, a.Hub.Installations()), a.Shape().Installation))
}

func (a *API) newToken(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	var in struct {
		Repositories []string
		Permissions  map[string]string
	}
	if c.ContentLength != 0 {
		if err := c.read(&in); err != nil {
			return answer{}, err
		}
	}
	token, who, expires, err := a.Hub.InstallationToken(id, in.Repositories, in.Permissions)
	if err != nil {
		return answer{}, err
	}
	o := shape.Object{"token": token, "expires_at": expires, "permissions": who.Permissions, "repository_selection": "all"}
	if in.Repositories != nil {
		o["repository_selection"] = "selected"
		o["repositories"] = list(a.Hub.ReposOf(who), a.Shape().Repo)
	}
	return answer{http.StatusCreated, o}, nil
}

func (a *API) installationRepos(c *call) (answer, error) {
	all := a.Hub.ReposOf(c.who)
	return ok(shape.Object{"total_count": len(all), "repository_selection": "all", "repositories": list(page(a, c, all), a.Shape().Repo)})
}

func (a *API) repoInstallation(c *call) (answer, error) {
	i, err := a.Hub.InstallationOf(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Installation(i))
}

// deliveries lists the newest first, all or those of one outcome.
func (a *API) deliveries(c *call) (answer, error) {
	all := a.Hooks.Deliveries()
	var done []hooks.Delivery
	outcome := c.URL.Query().Get("status")
	for i := len(all) - 1; i >= 0; i-- {
		good := all[i].Code >= 200 && all[i].Code < 400
		if !all[i].Delivered.IsZero() && (outcome == "" || good == (outcome == "success")) {
			done = append(done, all[i])
		}
	}
	return ok(list(fromCursor(a, c, done), func(d hooks.Delivery) shape.Object {
		o := shape.Object{
			"id": d.ID, "guid": d.GUID, "delivered_at": d.Delivered.Format(time.RFC3339), "redelivery": d.Redelivery, "duration": d.Duration.Seconds(),
			"status": d.Status, "status_code": d.Code, "event": d.Event, "action": nil, "installation_id": nil, "repository_id": nil, "throttled_at": nil,
		}
		if d.Action != "" {
			o["action"] = d.Action
		}
		if d.Installation != 0 {
			o["installation_id"] = d.Installation
		}
		if d.Repo != 0 {
			o["repository_id"] = d.Repo
		}
		return o
	}))
}

// fromCursor cuts a list of deliveries as GitHub does: the cursor, which only
// the Link header tells, names the delivery that a page begins with, so that
// what is delivered meanwhile moves nothing.
func fromCursor(a *API, c *call, all []hooks.Delivery) []hooks.Delivery {
	q := c.URL.Query()
	per, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || per < 1 {
		per = 30
	}
	if cursor := q.Get("cursor"); cursor != "" {
		at := slices.IndexFunc(all, func(d hooks.Delivery) bool { return cursorOf(d) == cursor })
		if at < 0 {
			return nil
		}
		all = all[at:]
	}
	if per = min(per, 100); len(all) > per {
		q.Set("cursor", cursorOf(all[per]))
		c.w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, a.Shape().API, c.URL.Path, q.Encode()))
		all = all[:per]
	}
	return all
}

func cursorOf(d hooks.Delivery) string { return fmt.Sprintf("v1_%d", d.ID) }

func (a *API) redeliver(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	if err := a.Hooks.Redeliver(id); err != nil {
		return answer{}, err
	}
	return answer{http.StatusAccepted, shape.Object{}}, nil
}

func (a *API) membership(c *call) (answer, error) {
	org, team, login := c.PathValue("org"), c.PathValue("team"), c.PathValue("user")
	allowed := c.who.Kind == account.ByUser || c.who.Kind == account.ByInstallation && c.who.Permissions["members"] != ""
	if !allowed || !a.Hub.InTeam(org, team, login) {
		return answer{}, &record.Error{Status: http.StatusNotFound, Message: "Not Found"}
	}
	return ok(shape.Object{"url": a.Shape().API + "/orgs/" + org + "/teams/" + team + "/memberships/" + login, "role": "member", "state": "active"})
}

func (a *API) getRepo(c *call) (answer, error) {
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().FullRepo(r))
}

// permission answers with the four legacy roles beside the real one.
func (a *API) permission(c *call) (answer, error) {
	user, found := a.Hub.Account(c.PathValue("user"))
	if !found {
		return answer{}, &record.Error{Status: http.StatusNotFound, Message: c.PathValue("user") + " is not a user"}
	}
	role, err := a.Hub.Role(c.repo, user.Login)
	if err != nil {
		return answer{}, err
	}
	legacy := map[record.Permission]string{"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}[role]
	if legacy == "" {
		legacy = "none"
	}
	o := a.Shape().User(user)
	o["permissions"] = shape.Object{
		"admin": role.AtLeast("admin"), "maintain": role.AtLeast("maintain"), "push": role.AtLeast("write"),
		"triage": role.AtLeast("triage"), "pull": role.AtLeast("read"),
	}
	o["role_name"] = string(role)
	return ok(shape.Object{"permission": legacy, "role_name": string(role), "user": o})
}

func (a *API) branch(c *call) (answer, error) {
	name := c.PathValue("branch")
	sha := a.Hub.Branch(c.repo, name)
	if sha == "" {
		return answer{}, &record.Error{Status: http.StatusNotFound, Message: "Branch not found"}
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	info, err := a.lookUp(c, sha)
	if err != nil {
		return answer{}, err
	}
	p, protected, err := a.Hub.ProtectionOf(c.repo, name)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Branch(r, name, info, p, protected))
}

func (a *API) protection(c *call) (answer, error) {
	name := c.PathValue("branch")
	p, protected, err := a.Hub.ProtectionOf(c.repo, name)
	if err != nil {
		return answer{}, err
	}
	if !protected || !p.Classic {
		return answer{}, &record.Error{Status: http.StatusNotFound, Message: "Branch not protected"}
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Protection(r, name, p))
}

// rules shows what rulesets ask for; classic protection is not part of them.
func (a *API) rules(c *call) (answer, error) {
	p, _, err := a.Hub.ProtectionOf(c.repo, c.PathValue("branch"))
	if err != nil {
		return answer{}, err
	}
	if p.Classic {
		p = record.Protection{}
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(page(a, c, a.Shape().Rules(r, p)))
}
