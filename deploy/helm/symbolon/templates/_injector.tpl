{{- define "symbolon.webhook.tlsMode" -}}
{{- $mode := default (ternary "certManager" "self" .Values.certManager.enabled) .Values.webhook.tls.mode }}
{{- if and (eq $mode "certManager") (not .Values.certManager.enabled) }}
{{- fail "webhook.tls.mode: certManager goes with certManager.enabled=true" }}
{{- end }}
{{- if and (eq $mode "secret") (not (and .Values.webhook.tls.existingSecret .Values.webhook.tls.caBundle)) }}
{{- fail "webhook.tls: mode secret needs existingSecret, and caBundle with the certificates that vouch for it" }}
{{- end }}
{{- $mode }}
{{- end }}

{{/* The injector runs, and is asked. */}}
{{- define "symbolon.webhook.enabled" -}}
{{- if and .Values.injector.enabled .Values.webhook.enabled (not .Values.policyInjection.enabled) }}yes{{ end }}
{{- end }}

{{- define "symbolon.webhook.secret" -}}
{{- if eq (include "symbolon.webhook.tlsMode" .) "secret" }}
{{- .Values.webhook.tls.existingSecret }}
{{- else }}
{{- printf "%s-injector-tls" (include "symbolon.fullname" .) }}
{{- end }}
{{- end }}

{{- define "symbolon.injector.config" -}}
{{- $name := include "symbolon.component" (dict "root" . "component" "injector") }}
{{- $resources := .Values.sidecar.resources }}
{{- $sidecar := dict
  "image" (include "symbolon.image" (dict "root" . "image" .Values.sidecar.image))
  "images" .Values.sidecar.allowedImages
  "pull_policy" .Values.sidecar.image.pullPolicy
  "user" (int .Values.sidecar.user)
  "native" .Values.sidecar.native
  "health" (printf "%s:8719" .Values.bindAddress)
  "log_level" .Values.sidecar.logLevel
  "cpu_request" $resources.requests.cpu
  "memory_request" $resources.requests.memory
  "memory_limit" $resources.limits.memory }}
{{- $broker := dict "url" (include "symbolon.broker.url" .) }}
{{- if include "symbolon.broker.caFrom" . }}{{ $_ := set $broker "ca_file" "/etc/symbolon/broker-ca/ca.crt" }}{{ end }}
{{- $evidence := dict "expiration" .Values.sidecar.tokenExpiration }}
{{- with .Values.broker.audience }}{{ $_ := set $evidence "audience" . }}{{ end }}
{{- $tls := dict "mode" "files" "files" (dict "certificate" "/etc/symbolon/tls/tls.crt" "key" "/etc/symbolon/tls/tls.key") }}
{{- if eq (include "symbolon.webhook.tlsMode" .) "self" }}
{{- $tls = dict "mode" "self" "self" (dict "namespace" .Release.Namespace "secret" (include "symbolon.webhook.secret" .) "webhook_configuration" $name "service" $name) }}
{{- end }}
{{- $config := dict
  "sidecar" $sidecar
  "broker" $broker
  "evidence" $evidence
  "upstreams" .Values.upstreams
  "default_upstreams" .Values.defaultUpstreams
  "webhook" (dict "listen" (printf "%s:8743" .Values.bindAddress) "admin" (printf "%s:8744" .Values.bindAddress) "tls" $tls)
  "log" (dict "format" "json" "level" "info") }}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.injector.config)) }}
{{- end }}

{{/* The namespaces of the cluster itself and of this release are never asked about. */}}
{{- define "symbolon.webhook.never" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: [kube-system, kube-public, kube-node-lease, {{ .Release.Namespace }}]
{{- end }}

{{/* One webhook for each way to be chosen, as the injector's three paths: by the pod's label, or by that of its namespace. */}}
{{- define "symbolon.webhook.paths" -}}
- path: pods
  namespaces: { operator: NotIn, values: [disabled{{ if .Values.webhook.wholeNamespaces }}, enabled, enforced{{ end }}] }
  # Another value than true and false is refused by the injector.
  pods: [{ key: symbolon.dev/inject, operator: Exists }, { key: symbolon.dev/inject, operator: NotIn, values: ["false"] }]
{{- if .Values.webhook.wholeNamespaces }}
- path: enabled
  namespaces: { operator: In, values: [enabled] }
  pods: [{ key: symbolon.dev/inject, operator: NotIn, values: ["false"] }]
- path: enforced
  namespaces: { operator: In, values: [enforced] }
  pods: []
{{- end }}
{{- end }}
