{{/* Probes by HTTP and gRPC, with no program in the image. Ray answers them without its token. They take the place of
those that KubeRay would add, with its numbers: a raylet may be without the head for as long as that needs to return. */}}

{{- define "dllm.livenessProbe" -}}
livenessProbe:
  httpGet:
    path: /api/healthz
    port: 52365
  initialDelaySeconds: 30
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 120
{{- end -}}

{{- define "dllm.headProbes" -}}
{{ include "dllm.livenessProbe" . }}
readinessProbe:
  httpGet:
    path: /api/healthz
    port: 52365
  initialDelaySeconds: 10
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 10
{{- end -}}

{{/* A pod is ready while Serve's proxy on it takes requests, as KubeRay's service needs it. */}}
{{- define "dllm.workerProbes" -}}
{{ include "dllm.livenessProbe" . }}
readinessProbe:
  httpGet:
    path: /-/healthz
    port: {{ (include "dllm.ports" . | fromYaml).http | int }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* A gateway gets its first request when a model can answer. Later it stays in its service when none can, since its
refusals say more than a closed port. */}}
{{- define "dllm.gatewayProbes" -}}
{{- $ports := include "dllm.ports" . | fromYaml -}}
{{- if eq .Values.gateways.probe "grpc" -}}
{{- if not .Values.service.grpc }}{{ fail "gateways.probe: grpc needs service.grpc" }}{{ end -}}
{{ include "dllm.livenessProbe" . }}
readinessProbe:
  grpc:
    port: {{ int $ports.grpc }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- else -}}
{{ include "dllm.workerProbes" . }}
{{- end }}
startupProbe:
  httpGet:
    path: /health/ready
    port: {{ int $ports.http }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (int .Values.gateways.startupSeconds) 5 }}
{{- end -}}
