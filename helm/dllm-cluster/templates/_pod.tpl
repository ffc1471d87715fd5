{{/* The template of a Ray pod: {root, component, group, container, ports, probes}. The account of a head with an autoscaler
     is KubeRay's to make, with what the autoscaler may do; its token is given to the autoscaler's container alone, which
     mounts api-access. */}}

{{- define "dllm.rayPod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $group := .group -}}
metadata:
  labels:
    {{- include "dllm.selectorLabels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  {{- with $group.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with include "dllm.pullSecrets" $root | trim }}{{ . | nindent 2 }}{{ end }}
  {{- if not (and (eq .component "head") $values.ray.autoscaler) }}
  serviceAccountName: {{ include "dllm.serviceAccountName" $root }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "dllm.gracePeriod" $root }}
  securityContext:
    {{- include "dllm.podSecurityContext" $root | nindent 4 }}
  {{- with include "dllm.priorityClass" $root | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with $group.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $group.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne .component "head" }}
  {{- with include "dllm.topologySpread" (dict "root" $root "component" .component) | trim }}{{ . | nindent 2 }}{{ end }}
  {{- end }}
  {{- with include "dllm.weightInitContainers" $root | trim }}{{ . | nindent 2 }}{{ end }}
  containers:
    - name: {{ .container }}
      image: {{ include "dllm.image" $root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      env:
        {{- include "dllm.environment" $root | trim | nindent 8 }}
      ports:
        {{- range $name, $port := .ports }}
        - name: {{ $name }}
          containerPort: {{ $port }}
        {{- end }}
      resources:
        {{- $resources := deepCopy $group.resources }}
        {{- with $group.gpus }}
        {{- $gpu := dict (default "nvidia.com/gpu" $group.gpuResource) . }}
        {{- $resources = merge $resources (dict "requests" $gpu "limits" $gpu) }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      securityContext:
        {{- include "dllm.containerSecurityContext" $root | nindent 8 }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ int $values.ray.preStopSeconds }}
      {{- toYaml .probes | nindent 6 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: ray-logs
          mountPath: /tmp/ray
        - name: admin
          mountPath: /etc/dllm/admin
          readOnly: true
        {{- if or $values.externalRedis.existingSecret (include "dllm.runsState" $root) }}
        - name: state
          mountPath: /etc/dllm/state
          readOnly: true
        {{- end }}
        {{- if $values.externalRedis.tls.existingSecret }}
        - name: state-tls
          mountPath: /etc/dllm/state-tls
          readOnly: true
        {{- end }}
        {{- if include "dllm.gcsTls" $root }}
        - name: gcs-tls
          mountPath: /etc/dllm/gcs-tls
          readOnly: true
        {{- end }}
        {{- if $values.tenants.existingSecret }}
        - name: tenants
          mountPath: /etc/dllm/tenants
          readOnly: true
        {{- end }}
        {{- with include "dllm.weightMounts" $root | trim }}{{ . | nindent 8 }}{{ end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ $values.ray.scratch }}
    - name: ray-logs
      emptyDir:
        sizeLimit: {{ $values.ray.scratch }}
    - name: admin
      secret:
        secretName: {{ include "dllm.adminSecret" $root }}
        defaultMode: 0440
        items:
          - key: {{ $values.admin.key }}
            path: key
    {{- if include "dllm.runsState" $root }}
    - name: state
      secret:
        secretName: {{ include "dllm.valkeySecret" $root }}
        defaultMode: 0440
        items:
          - key: state-password
            path: password
    {{- else if $values.externalRedis.existingSecret }}
    - name: state
      secret:
        secretName: {{ $values.externalRedis.existingSecret }}
        defaultMode: 0440
        items:
          - key: {{ $values.externalRedis.passwordKey }}
            path: password
    {{- end }}
    {{- if $values.externalRedis.tls.existingSecret }}
    {{- include "dllm.tlsVolume" (merge (dict "name" "state-tls") $values.externalRedis.tls) | nindent 4 }}
    {{- end }}
    {{- if include "dllm.gcsTls" $root }}
    {{- include "dllm.tlsVolume" (merge (dict "name" "gcs-tls") $values.gcs.externalRedis.tls) | nindent 4 }}
    {{- end }}
    {{- if $values.tenants.existingSecret }}
    - name: tenants
      secret:
        secretName: {{ $values.tenants.existingSecret }}
        defaultMode: 0440
        items:
          - key: {{ $values.tenants.key }}
            path: tenants.yaml
    {{- end }}
    {{- if and (eq .component "head") $values.ray.autoscaler }}
    - name: api-access
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken:
              path: token
              expirationSeconds: 3607
          - configMap:
              name: kube-root-ca.crt
              items:
                - key: ca.crt
                  path: ca.crt
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef:
                    fieldPath: metadata.namespace
    {{- end }}
    {{- with include "dllm.weightVolumes" $root | trim }}{{ . | nindent 4 }}{{ end }}
{{- end -}}

{{/* Certificates as files ca.crt, tls.crt and tls.key: {name, existingSecret, caKey, certKey, keyKey}. */}}
{{- define "dllm.tlsVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      {{- with .caKey }}
      - key: {{ . }}
        path: ca.crt
      {{- end }}
      {{- if .certKey }}
      - key: {{ .certKey }}
        path: tls.crt
      - key: {{ .keyKey }}
        path: tls.key
      {{- end }}
{{- end -}}
