{{/* The audiences that any route may ask of the broker's tokens, as JSON. */}}
{{- define "symbolon.gateway.audiences" -}}
{{- $audiences := .Values.gateway.audiences }}
{{- if not $audiences }}
{{- $audiences = list }}
{{- range .Values.broker.tokenResources }}{{ $audiences = append $audiences .audience }}{{ end }}
{{- end }}
{{- toJson $audiences }}
{{- end }}

{{/* Whether this gateway shows the broker who it is. */}}
{{- define "symbolon.gateway.attested" -}}
{{- if and .Values.gateway.revocations.enabled (fromJsonArray (include "symbolon.gateway.audiences" .)) }}yes{{ end }}
{{- end }}

{{- define "symbolon.gateway.tlsMode" -}}
{{- $mode := default (ternary "certManager" "none" .Values.certManager.enabled) .Values.gateway.tls.mode }}
{{- if and (eq $mode "certManager") (not .Values.certManager.enabled) }}
{{- fail "gateway.tls.mode: certManager goes with certManager.enabled=true" }}
{{- end }}
{{- $mode }}
{{- end }}

{{- define "symbolon.gateway.tlsSecret" -}}
{{- default (printf "%s-gateway-tls" (include "symbolon.fullname" .)) .Values.gateway.tls.existingSecret }}
{{- end }}

{{- define "symbolon.gateway.port" -}}
{{- default (ternary 80 443 (eq (include "symbolon.gateway.tlsMode" .) "none")) (int .Values.gateway.service.port) }}
{{- end }}

{{/* Where it is called within the cluster. */}}
{{- define "symbolon.gateway.url" -}}
{{- $none := eq (include "symbolon.gateway.tlsMode" .) "none" }}
{{- $port := include "symbolon.gateway.port" . }}
{{- ternary "http" "https" $none }}://{{ include "symbolon.fullname" . }}-gateway.{{ .Release.Namespace }}.svc
{{- if ne $port (ternary "80" "443" $none) }}:{{ $port }}{{ end }}
{{- end }}

{{- define "symbolon.gateway.config" -}}
{{- $ca := ternary "/etc/symbolon/broker-ca/ca.crt" "" (ne (include "symbolon.broker.caFrom" .) "") }}
{{- $issuers := list }}
{{- with fromJsonArray (include "symbolon.gateway.audiences" .) }}
{{- $issuer := dict "name" "symbolon" "issuer" (include "symbolon.broker.url" $) "audiences" . "trust_domain" $.Values.trustDomain }}
{{- if $.Values.gateway.revocations.enabled }}
{{- $revocations := dict "evidence" (dict "token_file" (dict "path" "/var/run/secrets/symbolon/token")) "on_stale" $.Values.gateway.revocations.onStale "max_stale" $.Values.gateway.revocations.maxStale }}
{{- if $ca }}{{ $_ := set $revocations "ca_file" $ca }}{{ end }}
{{- $_ := set $issuer "revocations" $revocations }}
{{- end }}
{{- $issuers = append $issuers $issuer }}
{{- end }}
{{- $keys := dict "directory" "/var/lib/symbolon-gateway/keys" }}
{{- if $ca }}{{ $_ := set $keys "ca_file" $ca }}{{ end }}
{{- $config := dict
  "listen" (printf "%s:8720" .Values.bindAddress)
  "admin" (dict "listen" (printf "%s:8721" .Values.bindAddress) "socket" "/run/symbolon-gateway/admin.sock")
  "origins" .Values.gateway.origins
  "issuers" (default (list) (concat $issuers .Values.gateway.issuers))
  "routes" .Values.gateway.routes
  "keys" $keys
  "audit" (dict "file" "/var/lib/symbolon-gateway/audit.jsonl")
  "log" (dict "format" "json" "level" "info") }}
{{- if ne (include "symbolon.gateway.tlsMode" .) "none" }}
{{- $_ := set $config "tls" (dict "certificate_file" "/etc/symbolon/tls/tls.crt" "key_file" "/etc/symbolon/tls/tls.key") }}
{{- end }}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.gateway.config)) }}
{{- end }}
