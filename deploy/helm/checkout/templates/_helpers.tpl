{{- define "checkout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
The release's name, which is one of its kind in a namespace. With the chart's name added, as many charts have it, the
releases `shop` and `shop-checkout` would meet. At most 50 characters, since names are made of it that may have 63; a
longer one keeps a hash of all of it.
*/}}
{{- define "checkout.fullname" -}}
{{- $name := default .Release.Name .Values.fullnameOverride | replace "." "-" -}}
{{- if gt (len $name) 50 -}}
{{- $name = printf "%s-%s" (trunc 41 $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What selectors hold: never changed, since a Deployment's selector cannot be. */}}
{{- define "checkout.selector" -}}
app.kubernetes.io/name: {{ include "checkout.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "checkout.labels" -}}
{{ include "checkout.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: checkout
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "checkout.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "checkout.settings" -}}
{{- .Values.existingConfigMap | default (printf "%s-settings" (include "checkout.fullname" .)) -}}
{{- end -}}

{{- define "checkout.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (printf "%s-account" (include "checkout.fullname" .)) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* (root, audience): the name of its Secret. */}}
{{- define "checkout.secret" -}}
{{- $root := index . 0 -}}{{- $audience := index . 1 -}}
{{- index $root.Values.secrets $audience | default (printf "%s-%s" (include "checkout.fullname" $root) $audience) -}}
{{- end -}}

{{/* The Secrets that each process reads, as checkout_service/settings/secret_holders.py decides. */}}
{{- define "checkout.secretsOf" -}}
web: [broker, web]
worker: [broker, worker]
housekeeping: [broker, worker]
sender: [broker, worker]
beat: [broker]
flower: [broker, flower]
release: [broker, web, release]
settlements: [settlements]
{{- end -}}

{{/* (root, process, name of the ConfigMap) */}}
{{- define "checkout.envFrom" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}
- configMapRef: {name: {{ index . 2 }}}
{{- range index (include "checkout.secretsOf" $root | fromYaml) $process }}
{{- if and (eq . "broker") (not $root.Values.secrets.broker) }}
- secretRef: {name: {{ include "checkout.secret" (list $root .) }}, optional: true}
{{- else }}
- secretRef: {name: {{ include "checkout.secret" (list $root .) }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The settings as a map of texts. A number of YAML is a float here, which large ones must not be written as. */}}
{{- define "checkout.data" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ ternary (toString $value) (printf "%d" (int64 $value)) (kindIs "string" $value) | quote }}
{{- end }}
{{- end -}}

{{/* Names that are, or look like, secrets; those of numbers of days are none. */}}
{{- define "checkout.isSecret" -}}
{{- if and (regexMatch "PASS|SECRET|TOKEN|KEY|CREDENTIAL|HEADERS$|_AUTH$|_DSN$|DATABASE_URL$|(POSTGRES|REDIS|AMQP|RABBITMQ|BROKER).*_UR[IL]$|_WEBHOOK_ID$|_REPORTS_|^PG" (upper .)) (not (hasSuffix "_DAYS" .)) -}}
yes
{{- end -}}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "checkout.check" -}}
{{- if .Values.existingConfigMap }}
{{- if ne (toJson .Values.settings) (toJson (dict "ENVIRONMENT" "production")) }}
{{- fail "existingConfigMap: `settings` are of the ConfigMap that the chart makes; leave them out beside another one" }}
{{- end }}
{{- else if not .Values.settings.PAYMENT_NAMESPACE }}
{{- fail "settings.PAYMENT_NAMESPACE: has to be a UUID of this deployment, made once (uuidgen) and never changed" }}
{{- end }}
{{- $ours := dict "WEB_CONCURRENCY" "web.concurrency" "WORKER_CONCURRENCY" "worker.concurrency or housekeeping.concurrency" "HOST" "nothing: the chart knows it" "PORT" "nothing: the chart knows it" "MANAGEMENT_PORT" "nothing: the chart knows it" "WORKER_METRICS_HOST" "nothing: the chart knows it" "WORKER_METRICS_PORT" "nothing: the chart knows it" "HOUSEKEEPING_METRICS_PORT" "nothing: the chart knows it" "SENDER_METRICS_PORT" "nothing: the chart knows it" "FLOWER_ADDRESS" "nothing: the chart knows it" "FLOWER_PORT" "nothing: the chart knows it" }}
{{- range $name, $value := .Values.settings }}
{{- if hasKey $ours $name }}
{{- fail (printf "settings.%s: set %s" $name (index $ours $name)) }}
{{- end }}
{{- if has $name (list "REDIS_URL" "CELERY_BROKER_URL") }}
{{- if regexMatch "://[^/?]*@" (toString $value) }}
{{- fail (printf "settings.%s: holds a password or a user; it belongs into the Secret `broker`" $name) }}
{{- end }}
{{- else if include "checkout.isSecret" $name }}
{{- fail (printf "settings.%s: is a secret, or is called like one; it belongs into a Secret (docs/kubernetes.md)" $name) }}
{{- end }}
{{- end }}
{{- $lists := dict "pods" .Values.pods.extraEnv }}
{{- range $process := list "release" "web" "worker" "housekeeping" "sender" "beat" "flower" "settlements" }}
{{- $_ := set $lists $process (index $.Values $process "extraEnv" | default list) }}
{{- end }}
{{- range $where, $list := $lists }}
{{- range $list }}
{{- if hasKey $ours .name }}
{{- fail (printf "%s.extraEnv: %s: set %s" $where .name (index $ours .name)) }}
{{- end }}
{{- if and (include "checkout.isSecret" .name) (not .valueFrom) }}
{{- fail (printf "%s.extraEnv: %s: is a secret, or is called like one; give it by valueFrom" $where .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $process := list "web" "worker" }}
{{- $scaling := index $.Values $process "autoscaling" }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling.maxReplicas: must be at least minReplicas" $process) }}
{{- end }}
{{- end }}
{{- if lt (int .Values.web.terminationGracePeriodSeconds) (add 35 .Values.web.preStopSeconds | int) }}
{{- fail "web.terminationGracePeriodSeconds: must be at least preStopSeconds and 35: the web needs 30 s to end" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts: name at least one host" }}
{{- end }}
{{- if and .Values.monitoring.prometheusRule.enabled (not .Values.monitoring.prometheusRule.files) }}
{{- fail "monitoring.prometheusRule.files: has no file" }}
{{- end }}
{{- end -}}

{{/*
A hook runs before all else is there, so what the migrations need are hooks as well. They go when it is done; the job
stays for its log.
*/}}
{{- define "checkout.beforeRelease" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: "-10"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
