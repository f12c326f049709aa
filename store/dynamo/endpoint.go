package dynamo

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
)

// tableName is DynamoDB's rule, "Naming rules" in its developer guide.
var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// checkEndpoint refuses an endpoint that would carry records in clear text
// through a network.
func checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("endpoint %q is not of the form https://HOST[:PORT]", raw)
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("endpoint %s: http is only for this machine itself (127.0.0.1), use https", raw)
	}
	return fmt.Errorf("endpoint %s is neither https nor http", raw)
}
