{{- define "c100k.name" -}}
{{- if contains "c100k" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-c100k" (.Release.Name | trunc 46 | trimSuffix "-") }}{{ end -}}
{{- end }}

{{- define "c100k.selector" -}}
app.kubernetes.io/name: c100k
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "c100k.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "c100k.selector" . }}
{{- end }}

{{- define "c100k.secret" -}}
{{ .Values.apiKey.existingSecret | default (printf "%s-api" (include "c100k.name" .)) }}
{{- end }}
