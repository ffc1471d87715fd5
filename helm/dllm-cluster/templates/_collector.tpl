{{/* The configuration of the OpenTelemetry Collector: spans in by OTLP, out to a backend or into its own log. */}}

{{- define "dllm.collectorConfig" -}}
{{- $sampling := .Values.collector.tailSampling -}}
{{- $export := .Values.collector.export -}}
{{- $processors := list "memory_limiter" -}}
{{- if $sampling.enabled }}{{ $processors = append $processors "tail_sampling" }}{{ end -}}
{{- $processors = append $processors "batch" -}}
extensions:
  health_check:
    endpoint: 0.0.0.0:13133
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 25
  {{- if $sampling.enabled }}
  tail_sampling:
    decision_wait: {{ $sampling.waitSeconds }}s
    policies:
      - name: failed
        type: status_code
        status_code:
          status_codes: [ERROR]
      - name: slow
        type: latency
        latency:
          threshold_ms: {{ mul (int $sampling.slowSeconds) 1000 }}
      - name: others
        type: probabilistic
        probabilistic:
          sampling_percentage: {{ $sampling.percentage }}
  {{- end }}
  batch: {}
exporters:
  {{- if $export.endpoint }}
  otlp:
    endpoint: {{ $export.endpoint }}
    tls:
      insecure: {{ $export.insecure }}
    {{- if $export.existingSecret }}
    headers:
      {{ $export.header }}: ${env:EXPORT_HEADER}
    {{- end }}
  {{- else }}
  debug: {}
  {{- end }}
service:
  extensions: [health_check]
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      processors: {{ toJson $processors }}
      exporters: [{{ empty $export.endpoint | ternary "debug" "otlp" }}]
{{- end -}}
