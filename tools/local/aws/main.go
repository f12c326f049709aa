// Command terraform-provider-aws is a cloud on one's own disk, for tests: its
// resources have types, names and attributes of AWS's, and each is a file in a
// directory that stands for the cloud. Who changes the file has changed the
// resource outside, and who removes it has deleted it.
package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-sdk/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/plugin"
	"github.com/hashicorp/terraform-plugin-sdk/terraform"
)

// kind is a type of resource: the attribute that names it, the one that can be
// changed, and its identifiers, in which NAME stands for the former.
type kind struct {
	name, attribute string
	value           schema.ValueType
	id              string
	computed        map[string]string
}

var kinds = map[string]kind{
	"aws_sqs_queue": {
		"name", "visibility_timeout_seconds", schema.TypeInt, "https://sqs.eu-west-1.amazonaws.com/111122223333/NAME",
		map[string]string{"arn": "arn:aws:sqs:eu-west-1:111122223333:NAME", "url": "https://sqs.eu-west-1.amazonaws.com/111122223333/NAME"},
	},
	"aws_db_instance": {
		"identifier", "deletion_protection", schema.TypeBool, "db-NAME",
		map[string]string{"arn": "arn:aws:rds:eu-west-1:111122223333:db:NAME"},
	},
	"aws_cloudtrail": {
		"name", "enable_logging", schema.TypeBool, "NAME",
		map[string]string{"arn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/NAME"},
	},
	"aws_s3_bucket_public_access_block": {"bucket", "block_public_acls", schema.TypeBool, "NAME", nil},
}

func main() {
	resources := map[string]*schema.Resource{}
	for name, k := range kinds {
		resources[name] = k.resource(name)
	}
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: func() terraform.ResourceProvider {
		return &schema.Provider{
			Schema:        map[string]*schema.Schema{"dir": {Type: schema.TypeString, Required: true}},
			ResourcesMap:  resources,
			ConfigureFunc: func(d *schema.ResourceData) (any, error) { return d.Get("dir"), nil },
		}
	}})
}

func (k kind) resource(typ string) *schema.Resource {
	attributes := map[string]*schema.Schema{
		k.name:      {Type: schema.TypeString, Required: true, ForceNew: true},
		k.attribute: {Type: k.value, Required: true},
	}
	for name := range k.computed {
		attributes[name] = &schema.Schema{Type: schema.TypeString, Computed: true}
	}
	file := func(d *schema.ResourceData, cloud any) string {
		return filepath.Join(cloud.(string), typ+"."+d.Get(k.name).(string)+".json")
	}
	write := func(d *schema.ResourceData, cloud any) error {
		body, err := json.Marshal(d.Get(k.attribute))
		if err == nil {
			err = os.MkdirAll(cloud.(string), 0o750)
		}
		if err == nil {
			err = os.WriteFile(file(d, cloud), body, 0o600)
		}
		if err != nil {
			return err
		}
		d.SetId(strings.ReplaceAll(k.id, "NAME", d.Get(k.name).(string)))
		for name, value := range k.computed {
			if err := d.Set(name, strings.ReplaceAll(value, "NAME", d.Get(k.name).(string))); err != nil {
				return err
			}
		}
		return nil
	}
	return &schema.Resource{
		Schema: attributes, Create: write, Update: write,
		Read: func(d *schema.ResourceData, cloud any) error {
			body, err := os.ReadFile(file(d, cloud))
			if errors.Is(err, os.ErrNotExist) {
				d.SetId("")
				return nil
			}
			var value any
			if err == nil {
				err = json.Unmarshal(body, &value)
			}
			if number, ok := value.(float64); ok {
				value = int(number)
			}
			if err != nil {
				return err
			}
			return d.Set(k.attribute, value)
		},
		Delete: func(d *schema.ResourceData, cloud any) error { return os.Remove(file(d, cloud)) },
	}
}
