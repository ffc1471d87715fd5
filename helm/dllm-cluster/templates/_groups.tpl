{{/* Groups of pods: what each offers, and whether the pools fit on them. */}}

{{/* Ray's labels of a worker group: {name, group}. */}}
{{- define "dllm.groupLabels" -}}
{{- range $key, $value := .group.labels }}
{{- if has $key (list "dllm/role" "dllm/pool" "ray.io/accelerator-type") }}
{{- fail (printf "workers.%s.labels: %s is the chart's to say" $.name $key) }}
{{- end }}
{{ $key }}: {{ $value | quote }}
{{- end }}
dllm/role: worker
dllm/pool: {{ .name }}
{{- with .group.accelerator }}
ray.io/accelerator-type: {{ . }}
{{- end }}
{{- end -}}

{{/* Processors as Ray counts them: the limit or else the request, rounded up. Takes resources. */}}
{{- define "dllm.cpus" -}}
{{- $cpu := dig "limits" "cpu" (dig "requests" "cpu" "" .) . | toString -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?m?$" $cpu) -}}
{{- fail (printf "resources: a Ray container needs cpu, as in 2 or 500m, and has %q" $cpu) -}}
{{- end -}}
{{- if hasSuffix "m" $cpu -}}
{{- divf (trimSuffix "m" $cpu | float64) 1000.0 | ceil | int -}}
{{- else -}}
{{- $cpu | float64 | ceil | int -}}
{{- end -}}
{{- end -}}

{{/* Whether a Ray label selector takes a value: {selector, value}; non-empty or empty. */}}
{{- define "dllm.takes" -}}
{{- $selector := .selector | toString -}}
{{- $not := hasPrefix "!" $selector -}}
{{- $selector = trimPrefix "!" $selector -}}
{{- $values := list $selector -}}
{{- if hasPrefix "in(" $selector -}}
{{- $values = list -}}
{{- range splitList "," (trimSuffix ")" (trimPrefix "in(" $selector)) }}{{ $values = append $values (trim .) }}{{ end -}}
{{- end -}}
{{- if ne $not (has .value $values) -}}yes{{- end -}}
{{- end -}}

{{/* How many replicas of a pool one pod of a group holds: {pool, name, group}; 0 where it may not run. */}}
{{- define "dllm.fits" -}}
{{- $labels := include "dllm.groupLabels" . | fromYaml -}}
{{- $accelerator := default dict .pool.accelerator -}}
{{- $gpus := default 0 .pool.gpus | float64 -}}
{{- $cpus := dig "cpus" 0.5 .pool | float64 -}}
{{- $holds := 1000000 -}}
{{- with $accelerator.type }}{{ if ne . (default "" $.group.accelerator) }}{{ $holds = 0 }}{{ end }}{{ end -}}
{{- range $key, $selector := $accelerator.labels -}}
{{- if not (include "dllm.takes" (dict "selector" $selector "value" (get $labels $key))) }}{{ $holds = 0 }}{{ end -}}
{{- end -}}
{{- if gt $gpus 0.0 }}{{ $holds = min $holds (divf (default 0 .group.gpus) $gpus | floor | int) }}{{ end -}}
{{- if gt $cpus 0.0 }}{{ $holds = min $holds (divf (include "dllm.cpus" .group.resources) $cpus | floor | int) }}{{ end -}}
{{- $holds -}}
{{- end -}}

{{/* Refuses pools that no worker group can hold, and groups that contradict themselves. */}}
{{- define "dllm.checkGroups" -}}
{{- $config := include "dllm.config" . | fromYaml -}}
{{- range $name, $group := .Values.workers -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$" $name) -}}
{{- fail (printf "workers.%s: a group's name has at most 30 small letters, digits and dashes" $name) -}}
{{- end -}}
{{- if eq $name "gateway" -}}
{{- fail "workers.gateway: that is the name of the gateways' group" -}}
{{- end -}}
{{- if gt (int $group.minReplicas) (int $group.maxReplicas) -}}
{{- fail (printf "workers.%s: minReplicas is %d and maxReplicas is %d" $name (int $group.minReplicas) (int $group.maxReplicas)) -}}
{{- end -}}
{{- if and (not $.Values.ray.autoscaler) (ne (int $group.minReplicas) (int $group.maxReplicas)) -}}
{{- fail (printf "workers.%s: without ray.autoscaler minReplicas and maxReplicas are the same" $name) -}}
{{- end -}}
{{- end -}}
{{- range $model := $config.models -}}
{{- range $pool := $model.pools -}}
{{- $where := printf "config.models: %s: pool %s" $model.id (default "default" $pool.name) -}}
{{- $room := 0 -}}
{{- $groups := list -}}
{{- range $name, $group := $.Values.workers -}}
{{- $fits := include "dllm.fits" (dict "pool" $pool "name" $name "group" $group) | int -}}
{{- if $fits -}}
{{- $groups = append $groups $name -}}
{{- $room = add $room (mul $fits (int $group.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if not $groups -}}
{{- fail (printf "%s: no group of workers offers its accelerator, labels, gpus and cpus" $where) -}}
{{- end -}}
{{- $most := int (default (dig "replicas" 1 $pool) $pool.max_replicas) -}}
{{- if gt $most (int $room) -}}
{{- fail (printf "%s: %d replicas are more than the %d that %s can hold" $where $most (int $room) (join ", " $groups)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $resource := list "gpus" "cpus" -}}
{{- $asked := 0.0 -}}
{{- $offered := 0.0 -}}
{{- range $model := $config.models -}}
{{- range $pool := $model.pools -}}
{{- $each := eq $resource "gpus" | ternary (default 0 $pool.gpus) (dig "cpus" 0.5 $pool) -}}
{{- $asked = addf $asked (mulf $each (dig "replicas" 1 $pool)) -}}
{{- end -}}
{{- end -}}
{{- range $group := $.Values.workers -}}
{{- $each := eq $resource "gpus" | ternary (default 0 $group.gpus) (include "dllm.cpus" $group.resources) -}}
{{- $offered = addf $offered (mulf $each $group.maxReplicas) -}}
{{- end -}}
{{- if gt $asked $offered -}}
{{- fail (printf "config.models: their replicas ask for %v %s, and the groups of workers have at most %v" $asked $resource $offered) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Processors of a pod of gateways, so that each pod gets its share of them: a pod that came first would take all that it
     has room for, and the last would never be ready. */}}
{{- define "dllm.gatewayCpus" -}}
{{- $pods := int .Values.gateways.replicas -}}
{{- $gateways := dig "gateway" "replicas" 1 .Values.config | int -}}
{{- $each := dig "gateway" "cpus" 0.25 .Values.config -}}
{{- if or (lt $gateways 1) (mod $gateways $pods) -}}
{{- fail (printf "config.gateway.replicas: %d are not the same number for each of the %d pods of gateways" $gateways $pods) -}}
{{- end -}}
{{- $cpus := mulf $each (div $gateways $pods) -}}
{{- if or (lt $cpus 1.0) (ne $cpus (floor $cpus)) -}}
{{- fail (printf "config.gateway.cpus: the gateways of a pod take %v, and Ray offers them whole processors of it only" $cpus) -}}
{{- end -}}
{{- if gt $cpus (include "dllm.cpus" .Values.gateways.resources | float64) -}}
{{- fail (printf "config.gateway.cpus: the gateways of a pod take %v, which is more than gateways.resources" $cpus) -}}
{{- end -}}
{{- int $cpus -}}
{{- end -}}

{{/* The bounds of each group of workers as the values have them, as JSON. */}}
{{- define "dllm.declaredBounds" -}}
{{- $bounds := dict -}}
{{- range $name, $group := .Values.workers -}}
{{- $_ := set $bounds $name (dict "min" (int $group.minReplicas) "max" (int $group.maxReplicas)) -}}
{{- end -}}
{{- toJson $bounds -}}
{{- end -}}
