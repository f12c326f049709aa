package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/go-github/v60/github"

	"weir/planner/reconcile"
	"weir/server/github/rest"
)

// Deliveries returns attempts to deliver to the App's webhook, newest first, a
// page of 100 at a time, and the cursor of the next page, "" after the last.
// The cursor of the first is "". GitHub keeps attempts for some days. With a
// token the error is an *UnsupportedError.
func (g *Client) Deliveries(ctx context.Context, cursor string) (page []reconcile.Delivery, next string, err error) {
	if g.api.AppID() == 0 {
		return nil, "", &UnsupportedError{What: "the deliveries of a webhook to a token"}
	}
	path := "app/hook/deliveries?per_page=100"
	if cursor != "" {
		path += "&cursor=" + url.QueryEscape(cursor)
	}
	var attempts []*github.HookDelivery
	resp, err := g.api.Answer(ctx, "list the App's deliveries", rest.Get(path, &attempts))
	if err != nil {
		return nil, "", err
	}
	for _, a := range attempts {
		page = append(page, reconcile.Delivery{
			ID: a.GetID(), GUID: a.GetGUID(), Event: a.GetEvent(), Action: a.GetAction(), At: a.GetDeliveredAt().Time,
			Code: a.GetStatusCode(), Status: a.GetStatus(), Redelivery: a.GetRedelivery(),
		})
	}
	if resp.Cursor == cursor {
		return page, "", nil
	}
	return page, resp.Cursor, nil
}

// Redeliver asks GitHub to deliver an event of the App's webhook once more,
// under the same GUID. GitHub does it soon after it has answered.
func (g *Client) Redeliver(ctx context.Context, id int64) error {
	return g.api.AsSelf(ctx, fmt.Sprintf("ask for delivery %d again", id), rest.Call{
		Method: http.MethodPost, Path: fmt.Sprintf("app/hook/deliveries/%d/attempts", id),
	})
}
