{{- define "tollgate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: tollgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollgate.labels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What the gateway is told: the user's configuration, with what the chart decides laid over it. */}}
{{- define "tollgate.config" -}}
{{- $many := or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled }}
{{- if and $many (not .Values.redis.url) }}
{{- fail "more than one gateway needs a Redis that they share: set redis.url, or replicas: 1 and autoscaling.enabled: false" }}
{{- end }}
{{- $ledger := dict "journal" "/var/lib/tollgate/journal" }}
{{- if .Values.redis.url }}
{{- $redis := dict "url" .Values.redis.url }}
{{- if .Values.redis.username }}{{ $_ := set $redis "username" .Values.redis.username }}{{ end }}
{{- if .Values.redis.passwordSecret.name }}{{ $_ := set $redis "password" "${TOLLGATE_REDIS_PASSWORD}" }}{{ end }}
{{- $_ := set $ledger "bank" "redis" }}
{{- $_ := set $ledger "redis" $redis }}
{{- else }}
{{- $_ := set $ledger "bank" "sqlite" }}
{{- $_ := set $ledger "sqlite" (dict "path" "/var/lib/tollgate/tollgate.db") }}
{{- end }}
{{- $proxy := dict "listen" (list "0.0.0.0:8080") "drain" (printf "%ds" (int .Values.drainSeconds)) }}
{{- $own := dict "proxy" $proxy "admin" (dict "listen" "0.0.0.0:9090") "ledger" $ledger }}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml }}
{{- end }}
