package integration

import (
	"net/url"
	"os"
	"testing"

	"weir/integration/services"
)

// cloud is what replicas may share on AWS beside their table: a bucket for plan
// files and logs, and a queue for news of work.
type cloud struct {
	server string
	bucket bucket
	queue  string // its URL but for the endpoint
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	name := ownName("cluster")
	return &cloud{server: services.AWS(t), bucket: newBucket(t, name), queue: newQueue(t, services.AWS(t), name)}
}

// env is the configuration of a replica that reaches it at an endpoint.
func (c *cloud) env(endpoint string) []string {
	return []string{
		"AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"WEIR_ARTIFACTS=" + artifactsAt(endpoint, c.bucket.name),
		"WEIR_DISPATCH=" + c.queue + url.QueryEscape(endpoint),
	}
}
