{{/* The typed configuration: values.config with what the chart knows. */}}

{{- define "dllm.stateUrl" -}}
{{- $external := .Values.externalRedis -}}
{{- $query := list -}}
{{- if $external.url -}}
{{- if regexMatch "^[^:]+://[^/@]*:[^/@]*@" $external.url -}}
{{- fail "externalRedis.url: it must not hold a password; give the Secret, as externalRedis.existingSecret" -}}
{{- end -}}
{{- if contains "?" $external.url -}}
{{- fail "externalRedis.url: it must not hold a query; give the Secrets, as externalRedis.existingSecret and externalRedis.tls" -}}
{{- end -}}
{{- if not (regexMatch "^rediss?(\\+sentinel|\\+cluster)?://." $external.url) -}}
{{- fail "externalRedis.url: expected a redis, rediss, redis+sentinel or redis+cluster URL" -}}
{{- end -}}
{{- if $external.existingSecret -}}
{{- $query = append $query "password=/etc/dllm/state/password" -}}
{{- end -}}
{{- if $external.tls.existingSecret -}}
{{- if not (hasPrefix "rediss" $external.url) -}}
{{- fail "externalRedis.tls: it needs a rediss URL" -}}
{{- end -}}
{{- if ne (empty $external.tls.certKey) (empty $external.tls.keyKey) -}}
{{- fail "externalRedis.tls: certKey and keyKey go together" -}}
{{- end -}}
{{- with $external.tls.caKey }}{{ $query = append $query "ca=/etc/dllm/state-tls/ca.crt" }}{{ end -}}
{{- with $external.tls.certKey }}{{ $query = concat $query (list "cert=/etc/dllm/state-tls/tls.crt" "key=/etc/dllm/state-tls/tls.key") }}{{ end -}}
{{- end -}}
{{- $external.url -}}
{{- else if .Values.valkey.enabled -}}
{{- $query = append $query "password=/etc/dllm/state/password" -}}
{{- printf "redis://dllm@%s-state:6379/0" (include "dllm.fullname" .) -}}
{{- else -}}
{{- fail "the state needs a server: give externalRedis.url, or set valkey.enabled for an evaluation" -}}
{{- end -}}
{{- if $query }}{{ printf "?%s" (join "&" $query) }}{{ end -}}
{{- end -}}

{{/* Refuses what the chart itself has to say. */}}
{{- define "dllm.refuseOwnKeys" -}}
{{- $config := .Values.config -}}
{{- $own := dict
  "http.host" "the pods listen on every interface"
  "admin.host" "the pods listen on every interface"
  "admin.key" "give the Secret, as admin.existingSecret"
  "admin.key_file" "give the Secret, as admin.existingSecret"
  "state.url" "give externalRedis.url, or set valkey.enabled"
  "gateway.labels" "the gateways run on the pods of gateways"
  "gateway.drain_seconds" "give ray.drainSeconds"
  "ray.address" "KubeRay makes the Ray cluster"
  "ray.dashboard" "KubeRay starts the dashboard"
  "tenancy_file" "give the Secret, as tenants.existingSecret" -}}
{{- range $path, $instead := $own -}}
{{- $parts := splitList "." $path -}}
{{- $section := $config -}}
{{- range initial $parts }}{{ $section = (get (default dict $section) .) | default dict }}{{ end -}}
{{- if hasKey $section (last $parts) -}}
{{- fail (printf "config.%s: it is the chart's to say: %s" $path $instead) -}}
{{- end -}}
{{- end -}}
{{- range $index, $key := $config.keys -}}
{{- if hasKey $key "key" -}}
{{- fail (printf "config.keys.%d.key: give the key by its id and sha256, or all of them in the Secret tenants.existingSecret" $index) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Pools run on the pods of workers only. */}}
{{- define "dllm.config" -}}
{{- include "dllm.refuseOwnKeys" . -}}
{{- $config := deepCopy .Values.config -}}
{{- $overlay := dict
  "http" (dict "host" "0.0.0.0")
  "admin" (dict "host" "0.0.0.0" "key_file" "/etc/dllm/admin/key")
  "state" (dict "url" (include "dllm.stateUrl" .))
  "gateway" (dict "labels" (dict "dllm/role" "gateway") "drain_seconds" (int .Values.ray.drainSeconds)) -}}
{{- if .Values.tenants.existingSecret -}}
{{- $_ := set $overlay "tenancy_file" "/etc/dllm/tenants/tenants.yaml" -}}
{{- end -}}
{{- if .Values.collector.enabled -}}
{{- $endpoint := printf "http://%s-collector:4317" (include "dllm.fullname" .) -}}
{{- $_ := set $overlay "telemetry" (dict "traces" (dict "exporter" "otlp" "protocol" "grpc" "endpoint" $endpoint)) -}}
{{- end -}}
{{- $config = mergeOverwrite $config $overlay -}}
{{- if not .Values.service.grpc -}}
{{- $_ := set $config "grpc" (dict "port" nil) -}}
{{- end -}}
{{- $models := list -}}
{{- range $model := required "config.models: name at least one model" $config.models -}}
{{- $pools := list -}}
{{- range $pool := default (list (dict)) $model.pools -}}
{{- $accelerator := default dict $pool.accelerator -}}
{{- if hasKey (default dict $accelerator.labels) "dllm/role" -}}
{{- fail (printf "config.models: %s: accelerator.labels: dllm/role is the chart's to say: the pools run on the pods of workers" $model.id) -}}
{{- end -}}
{{- $labels := merge (dict "dllm/role" "worker") (default dict $accelerator.labels) -}}
{{- $pools = append $pools (set $pool "accelerator" (set $accelerator "labels" $labels)) -}}
{{- end -}}
{{- $models = append $models (set $model "pools" $pools) -}}
{{- end -}}
{{- $_ := set $config "models" $models -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "dllm.ports" -}}
http: {{ dig "http" "port" 8000 .Values.config | int }}
grpc: {{ dig "grpc" "port" 9000 .Values.config | int }}
admin: {{ dig "admin" "port" 8001 .Values.config | int }}
{{- end -}}

{{/* The document of Ray Serve, as deployments/serve_config.py writes it. */}}
{{- define "dllm.serveConfig" -}}
{{- $config := include "dllm.config" . | fromYaml -}}
{{- $ports := include "dllm.ports" . | fromYaml -}}
proxy_location: EveryNode
http_options:
  host: {{ $config.http.host }}
  port: {{ $ports.http }}
{{- if .Values.service.grpc }}
grpc_options:
  port: {{ $ports.grpc }}
  grpc_servicer_functions:
    {{- range list "add_inference" "add_open_inference" "add_health" }}
    - deployments.gateway.grpc.services:{{ . }}
    {{- end }}
  enable_reflection: {{ dig "grpc" "reflection" false $config | default false }}
{{- end }}
applications:
  - name: {{ $config.name | default "dllm" }}
    route_prefix: /
    import_path: deployments.serve_config:application
    args:
      {{- toYaml $config | nindent 6 }}
{{- end -}}
