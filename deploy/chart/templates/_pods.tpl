{{- /* A variable from a Secret: dict "name" variable "secret" values "key" which of its keys. */ -}}
{{- define "assay.secretEnv" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret.existingSecret }}, key: {{ index .secret.keys .key }}}}
{{- end -}}

{{- define "assay.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "assay.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* What all pods say of themselves. Service links would put Kubernetes's own ASSAY_… variables beside ours. */ -}}
{{- define "assay.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- include "assay.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Where pods of a component that goes on running go: dict "root" $ "component" name "options" values. */ -}}
{{- define "assay.placement" -}}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.options.whenUnsatisfiable }}
    # Counts the pods of one revision, or an update would be spread over what is about to leave.
    matchLabelKeys: [pod-template-hash]
    labelSelector: {matchLabels: {{ include "assay.selector" (dict "root" $.root "component" $.component) | fromYaml | toJson }}}
{{- end }}
{{- include "assay.nodes" .options }}
{{- end -}}

{{- /* On which nodes a pod may run, and who gives way to it, as values say; begins with a line's end where they say anything. */ -}}
{{- define "assay.nodes" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* Volumes and their mounts: dict "root" $ "options" values. */ -}}
{{- define "assay.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret: {secretName: {{ .root.Values.tls.existingSecret }}, defaultMode: 0444}
{{- end }}
{{- with .options.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "assay.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/assay/tls, readOnly: true}
{{- end }}
{{- with .options.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Head of a pod template: dict "root" $ "component" name "options" values "settings" what its ConfigMap holds. */ -}}
{{- define "assay.podMetadata" -}}
labels: {{- include "assay.podLabels" . | nindent 2 }}
annotations:
  checksum/config: {{ .settings | sha256sum }}
  {{- with .options.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* The labels of a pod: dict "root" $ "component" name "options" values. */ -}}
{{- define "assay.podLabels" -}}
{{ include "assay.selector" . }}
app.kubernetes.io/part-of: assay
{{- with .options.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Nobody leaves before another is ready. */ -}}
{{- define "assay.strategy" -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
