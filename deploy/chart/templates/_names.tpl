{{- define "assay.fullname" -}}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $name) -}}
{{- fail (printf "%s can't begin the name of a Service (lower case, digits and hyphens, a letter first): set fullnameOverride" $name) -}}
{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Labels of every object. */ -}}
{{- define "assay.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: assay
{{ include "assay.release" . }}
{{- end -}}

{{- /* What all pods of the release have, and nobody else. */ -}}
{{- define "assay.release" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* What the pods of one component have: dict "root" $ "component" name. */ -}}
{{- define "assay.selector" -}}
{{ include "assay.release" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "assay.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "assay.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- /* An image's reference: dict "root" $ "image" values. */ -}}
{{- define "assay.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* host:port of a service: dict "root" $ "component" name. */ -}}
{{- define "assay.address" -}}
{{ include "assay.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}:{{ include "assay.grpcPort" .root }}
{{- end -}}
