{{- define "symbolon.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" }}
{{- end }}

{{/* 48 characters leave room for the component behind it. */}}
{{- define "symbolon.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains (include "symbolon.name" .) .Release.Name }}
{{- .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "symbolon.name" .) | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Arguments of the definitions below: root, and component (broker, gateway, injector). */}}
{{- define "symbolon.component" -}}
{{ include "symbolon.fullname" .root }}-{{ .component }}
{{- end }}

{{- define "symbolon.selector" -}}
app.kubernetes.io/name: {{ include "symbolon.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "symbolon.labels" -}}
{{ include "symbolon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: symbolon
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "symbolon.metadata" -}}
name: {{ default (include "symbolon.component" .) .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "symbolon.labels" . | nindent 2 }}
{{- end }}

{{- define "symbolon.clusterMetadata" -}}
name: {{ default (include "symbolon.component" .) .name }}
labels:
  {{- include "symbolon.labels" . | nindent 2 }}
{{- end }}

{{- define "symbolon.serviceAccount" -}}
{{- $values := index .root.Values .component }}
{{- if $values.serviceAccount.create }}
{{- default (include "symbolon.component" .) $values.serviceAccount.name }}
{{- else }}
{{- default "default" $values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image by its digest if there is one. Arguments: root, image. */}}
{{- define "symbolon.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end }}
{{- end }}

{{/* What every program of ours runs as; values can add to it, and the tests check that the defaults are `restricted`. */}}
{{- define "symbolon.podSecurityContext" -}}
{{- $own := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- toYaml (mergeOverwrite $own (deepCopy .)) }}
{{- end }}

{{- define "symbolon.securityContext" -}}
{{- $own := dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) "readOnlyRootFilesystem" true "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- toYaml (mergeOverwrite $own (deepCopy .)) }}
{{- end }}

{{/* Where pods run: the same for all three. */}}
{{- define "symbolon.placement" -}}
{{- $values := index .root.Values .component -}}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int $values.replicaCount) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "symbolon.selector" . | nindent 8 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "symbolon.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "symbolon.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (default (dict) .annotations) (deepCopy $values.podAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The kubelet's questions, all on the admin port. */}}
{{- define "symbolon.probes" -}}
startupProbe:
  httpGet: { path: /startupz, port: admin }
  periodSeconds: 1
  failureThreshold: 120
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}

{{- define "symbolon.extras" -}}
{{- $values := index .root.Values .component -}}
securityContext:
  {{- include "symbolon.securityContext" $values.securityContext | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
{{- with $values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
