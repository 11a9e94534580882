{{/* (root, process): the values of its pods: its own beside those of all. */}}
{{- define "checkout.pods" -}}
{{- $root := index . 0 -}}{{- $own := index $root.Values (index . 1) -}}{{- $all := $root.Values.pods -}}
annotations: {{ merge (dict) ($own.annotations | default dict) $all.annotations | toJson }}
labels: {{ merge (dict) ($own.labels | default dict) $all.labels | toJson }}
nodeSelector: {{ merge (dict) ($own.nodeSelector | default dict) $all.nodeSelector | toJson }}
tolerations: {{ $own.tolerations | default $all.tolerations | toJson }}
affinity: {{ $own.affinity | default $all.affinity | toJson }}
topologySpreadConstraints: {{ $own.topologySpreadConstraints | default $all.topologySpreadConstraints | toJson }}
priorityClassName: {{ $own.priorityClassName | default $all.priorityClassName | toJson }}
extraEnv: {{ concat $all.extraEnv ($own.extraEnv | default list) | default list | toJson }}
extraVolumes: {{ concat $all.extraVolumes ($own.extraVolumes | default list) | default list | toJson }}
extraVolumeMounts: {{ concat $all.extraVolumeMounts ($own.extraVolumeMounts | default list) | default list | toJson }}
{{- end -}}

{{/* (root, process): labels that pods have and selectors do not. */}}
{{- define "checkout.podLabels" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}
{{- $own := merge (include "checkout.labels" $root | fromYaml) (dict "app.kubernetes.io/component" $process) (get (include "checkout.pods" . | fromYaml) "labels") -}}
{{- toYaml (omit $own "helm.sh/chart" "app.kubernetes.io/managed-by") -}}
{{- end -}}

{{/* (root, process, account): what the pods of every process have. */}}
{{- define "checkout.podSpec" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}{{- $pods := include "checkout.pods" . | fromYaml -}}
serviceAccountName: {{ index . 2 }}
automountServiceAccountToken: false
# A Service called `flower` would set FLOWER_PORT, and one called `web` others.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
{{- with $root.Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
{{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pods.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: {{ dig "tmp" "sizeLimit" $root.Values.tmp.sizeLimit (index $root.Values $process) }}}}
{{- range $pods.extraVolumes }}
  - {{ toJson . }}
{{- end }}
{{- end -}}

{{/* (root, process): where its pods run, and when they leave a node that is lost. */}}
{{- define "checkout.placement" -}}
{{- $root := index . 0 -}}{{- $pods := include "checkout.pods" . | fromYaml -}}
{{- $selector := merge (include "checkout.selector" $root | fromYaml) (dict "app.kubernetes.io/component" (index . 1)) -}}
tolerations:
{{- range list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ . }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ int $root.Values.nodeLossSeconds }}}
{{- end }}
{{- range $pods.tolerations }}
  - {{ toJson . }}
{{- end }}
{{- if $pods.affinity }}
affinity: {{ toJson $pods.affinity }}
{{- else if ne $root.Values.spread.hosts "off" }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $selector) "matchLabelKeys" (list "pod-template-hash") }}
affinity:
  podAntiAffinity:
{{- if eq $root.Values.spread.hosts "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - {{ toJson $term }}
{{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm: {{ toJson $term }}
{{- end }}
{{- end }}
{{- if $pods.topologySpreadConstraints }}
topologySpreadConstraints: {{ toJson $pods.topologySpreadConstraints }}
{{- else if ne $root.Values.spread.zones "off" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $root.Values.spread.zones "required") }}
    labelSelector: {matchLabels: {{ toJson $selector }}}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* (root, process, env): a container's parts that do not differ. */}}
{{- define "checkout.container" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}{{- $pods := include "checkout.pods" . | fromYaml -}}
{{- $settings := include "checkout.settings" $root -}}
{{- if and (eq $process "release") (not $root.Values.existingConfigMap) -}}
{{- $settings = printf "%s-release-environment" (include "checkout.fullname" $root) -}}
{{- end -}}
name: {{ $process }}
image: {{ include "checkout.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
command: [checkout, {{ $process }}{{ if eq $process "settlements" }}, fetch{{ end }}]
envFrom:
  {{- include "checkout.envFrom" (list $root $process $settings) | nindent 2 }}
{{- $env := concat (index . 2) $pods.extraEnv }}
{{- if $env }}
env:
{{- range $env }}
  - {{ toJson . }}
{{- end }}
{{- end }}
resources: {{ toJson (index $root.Values $process "resources") }}
securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- range $pods.extraVolumeMounts }}
  - {{ toJson . }}
{{- end }}
{{- end -}}

{{/*
(root, process, env, rest of the container): the Deployment of a process. Its labels and selector are made of the
chart's and the release's names and the process alone.
*/}}
{{- define "checkout.deployment" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}{{- $own := index $root.Values $process -}}
{{- $pods := include "checkout.pods" . | fromYaml -}}
{{- $annotations := $pods.annotations -}}
{{- if not $root.Values.existingConfigMap -}}
{{- $annotations = merge (dict "checksum/settings" (include "checkout.data" $root | sha256sum)) $annotations -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "checkout.fullname" $root }}-{{ $process }}
  labels:
    {{- include "checkout.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $process }}
spec:
{{- if not (dig "autoscaling" "enabled" false $own) }}
  replicas: {{ int ($own.replicas | default 1) }}
{{- else }}
{{- /* As many as run: left out by the upgrade that switches scaling on, it would be 1 until the autoscaler has looked. */}}
{{- with dig "spec" "replicas" 0 (lookup "apps/v1" "Deployment" $root.Release.Namespace (printf "%s-%s" (include "checkout.fullname" $root) $process)) }}
  replicas: {{ int . }}
{{- end }}
{{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "checkout.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $process }}
  strategy:
{{- if has $process (list "beat" "flower") }}
    type: Recreate
{{- else }}
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
{{- end }}
  template:
    metadata:
      labels:
        {{- include "checkout.podLabels" . | nindent 8 }}
{{- with $annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
{{- end }}
    spec:
      terminationGracePeriodSeconds: {{ int $own.terminationGracePeriodSeconds }}
      {{- include "checkout.podSpec" (list $root $process (include "checkout.serviceAccount" $root)) | nindent 6 }}
      {{- include "checkout.placement" . | nindent 6 }}
      containers:
        - {{ include "checkout.container" . | nindent 10 | trim }}
{{- with index . 3 }}
          {{- . | nindent 10 }}
{{- end }}
{{- end -}}

{{/* (root, process): its PodDisruptionBudget, where more than one pod of it runs. */}}
{{- define "checkout.disruptions" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}{{- $own := index $root.Values $process -}}
{{- $least := dig "autoscaling" "enabled" false $own | ternary (dig "autoscaling" "minReplicas" 1 $own) ($own.replicas | default 1) -}}
{{- if and $root.Values.podDisruptionBudget.enabled (gt (int $least) 1) }}
---
# A drain takes one pod at a time; those that do not come up hold up no drain.
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "checkout.fullname" $root }}-{{ $process }}
  labels:
    {{- include "checkout.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $process }}
spec:
  maxUnavailable: {{ int $root.Values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "checkout.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $process }}
{{- end }}
{{- end -}}

{{/* (root, process, metrics): its HorizontalPodAutoscaler. */}}
{{- define "checkout.scaling" -}}
{{- $root := index . 0 -}}{{- $process := index . 1 -}}{{- $scaling := index $root.Values $process "autoscaling" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "checkout.fullname" $root }}-{{ $process }}
  labels:
    {{- include "checkout.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $process }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "checkout.fullname" $root }}-{{ $process }}}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    - {{ toJson (index . 2) }}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 30
      policies: [{type: Percent, value: 100, periodSeconds: 60}, {type: Pods, value: 2, periodSeconds: 60}]
    scaleDown:
      stabilizationWindowSeconds: 300
      policies: [{type: Pods, value: 1, periodSeconds: 60}]
{{- end -}}

{{/* The probes of worker, housekeeping and sender. /livez takes no token, and asks for neither broker nor database. */}}
{{- define "checkout.workerProbes" -}}
ports:
  - {name: metrics, containerPort: 9100}
startupProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
# The main process alone: a minute without an answer. A broker or a database that is away is no reason to restart.
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
