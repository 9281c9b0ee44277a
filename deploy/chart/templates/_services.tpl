{{- /* Ports, equal for all services: each has pods of its own. */ -}}
{{- define "assay.grpcPort" -}}5051{{- end -}}
{{- define "assay.metricsPort" -}}9090{{- end -}}
{{- define "assay.healthPort" -}}5052{{- end -}}
{{- define "assay.gatewayPort" -}}8080{{- end -}}
{{- /* Seconds that a service gives what it is working on to end, calls to targets and judges above all. */ -}}
{{- define "assay.finishSeconds" -}}10{{- end -}}
{{- /* Seconds that it then gives the calls it serves to end: GRACE_SECONDS in shared/server.py. */ -}}
{{- define "assay.graceSeconds" -}}10{{- end -}}
{{- /* What the gateway speaks with clients; also the name of its port. */ -}}
{{- define "assay.gatewayScheme" -}}{{ ternary "https" "http" .Values.gateway.tls.enabled }}{{- end -}}

{{- /*
What each service is: whom it calls, what it is told beside what all are told, whether it calls what users name (targets,
judges), and which NATS consumers are its backlog. tests/chart holds this against the services' code.
*/ -}}
{{- define "assay.services" -}}
catalog:
  calls: [runner, scoring, reporting]
  settings: [publicUrl, allowedOrigins]
  secrets: [encryptionKeys]
runner:
  calls: [catalog, scoring, reporting]
  settings: [publicUrl, allowedOrigins, allowedNetworks, leaseSeconds, abandonedCallSeconds, runRetentionDays]
  leavesCluster: true
  backlog:
    - {stream: WORK, consumer: runner-tickets}
    - {stream: EVENTS, consumer: runner-scoring-cases_scored}
scoring:
  calls: [catalog, runner]
  settings: [allowedNetworks, leaseSeconds]
  leavesCluster: true
  backlog:
    - {stream: EVENTS, consumer: scoring-runner-cases_executed}
reporting:
  calls: [catalog, runner, scoring]
  settings: [publicUrl, allowedOrigins, leaseSeconds]
{{- end -}}

{{- /* What holds for one service: dict "root" $ "component" name. Gives YAML. */ -}}
{{- define "assay.options" -}}
{{- $own := index .root.Values.services .component | default dict -}}
{{- $options := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) -}}
{{- $scaled := include "assay.services" .root | fromYaml -}}
{{- if and $options.hpa.enabled $options.keda.enabled -}}
{{- fail (printf "services.%s: hpa and keda exclude each other, since both would count its pods" .component) -}}
{{- end -}}
{{- if and $options.keda.enabled (not (index $scaled .component).backlog) -}}
{{- fail (printf "services.%s: keda needs a backlog, which only runner and scoring have; use hpa" .component) -}}
{{- end -}}
{{- $needed := add $options.preStopSeconds (include "assay.finishSeconds" .root) (include "assay.graceSeconds" .root) 10 -}}
{{- if le (int $options.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "services.%s: terminationGracePeriodSeconds must be more than %d" .component (int $needed)) -}}
{{- end -}}
{{- toYaml $options -}}
{{- end -}}

{{- /* ASSAY_ settings that are no secrets, one service's: dict "root" $ "component" name "is" its line of assay.services. */ -}}
{{- define "assay.settings" -}}
{{- $config := .root.Values.config -}}
ASSAY_LISTEN: "0.0.0.0:{{ include "assay.grpcPort" .root }}"
ASSAY_METRICS_LISTEN: "0.0.0.0:{{ include "assay.metricsPort" .root }}"
ASSAY_NATS_REPLICAS: {{ .root.Values.nats.replicas | quote }}
ASSAY_NATS_EVENTS_BYTES: {{ int64 .root.Values.nats.eventsBytes | quote }}
ASSAY_REQUESTS_PER_SECOND: {{ $config.requestsPerSecond | quote }}
ASSAY_LOG_LEVEL: {{ $config.logLevel | quote }}
ASSAY_NATS_CA: {{ .root.Values.nats.tls.ca | quote }}
ASSAY_NATS_CERT: {{ .root.Values.nats.tls.cert | quote }}
ASSAY_NATS_KEY: {{ .root.Values.nats.tls.key | quote }}
{{- range .is.calls }}
ASSAY_{{ upper . }}_ADDRESS: "dns:///{{ include "assay.address" (dict "root" $.root "component" .) }}"
{{- end }}
{{- range .is.settings }}
{{- $value := index $config . }}
ASSAY_{{ snakecase . | upper }}: {{ ternary (join "," $value) $value (kindIs "slice" $value) | quote }}
{{- end }}
{{- if .root.Values.tls.enabled }}
{{ include "assay.tlsSettings" .root }}
ASSAY_HEALTH_LISTEN: "0.0.0.0:{{ include "assay.healthPort" .root }}"
{{- end }}
{{- with .root.Values.tracing.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "assay.tlsSettings" -}}
ASSAY_TLS_CERT: /etc/assay/tls/tls.crt
ASSAY_TLS_KEY: /etc/assay/tls/tls.key
ASSAY_TLS_CA: /etc/assay/tls/ca.crt
{{- end -}}

{{- /* The gateway's settings. */ -}}
{{- define "assay.gatewaySettings" -}}
ASSAY_LISTEN: "0.0.0.0:{{ include "assay.gatewayPort" . }}"
ASSAY_METRICS_LISTEN: "0.0.0.0:{{ include "assay.metricsPort" . }}"
ASSAY_ALLOWED_ORIGINS: {{ join "," .Values.config.allowedOrigins | quote }}
ASSAY_CONCURRENCY: {{ .Values.gateway.concurrency | quote }}
ASSAY_MAX_CONNECTIONS: {{ int64 .Values.gateway.maxConnections | quote }}
ASSAY_MAX_HEAP_BYTES: {{ int64 .Values.gateway.maxHeapBytes | quote }}
ASSAY_TIMEOUT_SECONDS: {{ .Values.gateway.timeoutSeconds | quote }}
ASSAY_DRAIN_SECONDS: {{ .Values.gateway.drainSeconds | quote }}
{{- range $component, $_ := include "assay.services" . | fromYaml }}
ASSAY_{{ upper $component }}_ADDRESS: {{ include "assay.address" (dict "root" $ "component" $component) | quote }}
{{- end }}
{{- if .Values.tls.enabled }}
{{ include "assay.tlsSettings" . }}
{{- end }}
{{- with .Values.gateway.tls }}
{{- if .enabled }}
ASSAY_LISTEN_TLS_CERT: /etc/assay/listen-tls/tls.crt
ASSAY_LISTEN_TLS_KEY: /etc/assay/listen-tls/tls.key
ASSAY_LISTEN_TLS_CA: {{ ternary "/etc/assay/listen-tls/ca.crt" "" .clientCertificates | quote }}
{{- end }}
{{- end }}
{{- end -}}
