{{/* Checkpoints on Ray pods: the head reads them, too, since it builds the application. */}}

{{- define "dllm.weightMounts" -}}
{{- with .Values.weights }}
{{- if .hub.enabled }}
- name: hub
  mountPath: /var/cache/dllm/hub
{{- if .hub.existingSecret }}
- name: hub-token
  mountPath: /etc/dllm/hub
  readOnly: true
{{- end }}
{{- end }}
{{- if .claim.name }}
- name: checkpoints
  mountPath: {{ .claim.mountPath }}
  readOnly: true
{{- end }}
{{- if .objectStore.source }}
- name: object-store
  mountPath: {{ .objectStore.mountPath }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "dllm.weightVolumes" -}}
{{- with .Values.weights }}
{{- if .hub.enabled }}
- name: hub
  {{- if .hub.claim }}
  persistentVolumeClaim:
    claimName: {{ .hub.claim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .hub.cacheSize }}
  {{- end }}
{{- if .hub.existingSecret }}
- name: hub-token
  secret:
    secretName: {{ .hub.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .hub.tokenKey }}
        path: token
{{- end }}
{{- end }}
{{- if .claim.name }}
- name: checkpoints
  persistentVolumeClaim:
    claimName: {{ .claim.name }}
    readOnly: true
{{- end }}
{{- if .objectStore.source }}
- name: object-store
  emptyDir:
    sizeLimit: {{ .objectStore.size }}
- name: object-store-credentials
  secret:
    secretName: {{ required "weights.objectStore.existingSecret: name the Secret with rclone.conf" .objectStore.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .objectStore.configKey }}
        path: rclone.conf
{{- end }}
{{- end }}
{{- end -}}

{{- define "dllm.weightInitContainers" -}}
{{- with .Values.weights.objectStore }}
{{- if .source }}
initContainers:
  - name: copy-weights
    image: {{ include "dllm.imageOf" .image }}
    imagePullPolicy: {{ .image.pullPolicy }}
    args:
      - copy
      - --config=/etc/rclone/rclone.conf
      - --cache-dir=/tmp
      - --checksum
      - --transfers=8
      - --stats=30s
      - {{ .source }}
      - {{ .mountPath }}
    securityContext:
      {{- include "dllm.containerSecurityContext" $ | nindent 6 }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    volumeMounts:
      - name: object-store
        mountPath: {{ .mountPath }}
      - name: object-store-credentials
        mountPath: /etc/rclone
        readOnly: true
      - name: tmp
        mountPath: /tmp
{{- end }}
{{- end }}
{{- end -}}
