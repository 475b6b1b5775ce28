{{/* How others find the broker, and whom they trust for it. */}}
{{- define "symbolon.broker.url" -}}
{{- if .Values.broker.url }}
{{- .Values.broker.url }}
{{- else if .Values.broker.enabled }}
{{- $port := int .Values.broker.service.port }}
{{- printf "https://%s-broker.%s.svc" (include "symbolon.fullname" .) .Release.Namespace }}{{ if ne $port 443 }}:{{ $port }}{{ end }}
{{- else }}
{{- fail "broker.url: with broker.enabled=false say where the broker is, as its own configuration says `issuer`" }}
{{- end }}
{{- end }}

{{- define "symbolon.broker.tlsMode" -}}
{{- $mode := default (ternary "certManager" (ternary "secret" "self" (ne .Values.broker.tls.existingSecret "")) .Values.certManager.enabled) .Values.broker.tls.mode }}
{{- if and (eq $mode "self") .Values.broker.caBundle }}
{{- fail "broker.caBundle: with broker.tls.mode=self the broker itself says who vouches for it" }}
{{- end }}
{{- if and (eq $mode "certManager") (not .Values.certManager.enabled) }}
{{- fail "broker.tls.mode: certManager goes with certManager.enabled=true" }}
{{- end }}
{{- if and (eq $mode "external") (not .Values.broker.url) }}
{{- fail "broker.url: with broker.tls.mode=external say by which https URL the broker is reached through your TLS terminator" }}
{{- end }}
{{- $mode }}
{{- end }}

{{- define "symbolon.broker.tlsSecret" -}}
{{- default (printf "%s-broker-tls" (include "symbolon.fullname" .)) .Values.broker.tls.existingSecret }}
{{- end }}

{{- define "symbolon.broker.sealingSecret" -}}
{{- .Values.broker.sealingKey.existingSecret }}
{{- end }}

{{/* What the broker keeps itself: its sealing key, its authority. */}}
{{- define "symbolon.broker.keepsKey" -}}
{{- if not (include "symbolon.broker.sealingSecret" .) }}true{{ end }}
{{- end }}

{{- define "symbolon.broker.keepsCertificate" -}}
{{- if eq (include "symbolon.broker.tlsMode" .) "self" }}true{{ end }}
{{- end }}

{{- define "symbolon.broker.keptSecret" -}}
{{- printf "%s-broker-kept" (include "symbolon.fullname" .) }}
{{- end }}

{{/* The names that its certificate is for. */}}
{{- define "symbolon.broker.names" -}}
{{- $service := printf "%s-broker.%s.svc" (include "symbolon.fullname" .) .Release.Namespace }}
{{- $names := list $service (printf "%s.%s" $service .Values.clusterDomain) }}
{{- with .Values.broker.url }}{{ $names = append $names (urlParse .).hostname }}{{ end }}
{{- toJson (uniq $names) }}
{{- end }}

{{/* Where the certificates come from that vouch for the broker: configMap, secret, or nothing (the public ones). */}}
{{- define "symbolon.broker.caFrom" -}}
{{- if .Values.broker.publicCa }}
{{- else if .Values.broker.caBundle }}configMap
{{- else if and .Values.broker.enabled (include "symbolon.broker.keepsCertificate" .) }}kept
{{- else if and .Values.broker.enabled (ne (include "symbolon.broker.tlsMode" .) "external") }}secret
{{- end }}
{{- end }}

{{- define "symbolon.broker.caVolume" -}}
{{- $from := include "symbolon.broker.caFrom" . }}
{{- if eq $from "configMap" -}}
- name: broker-ca
  configMap:
    name: {{ include "symbolon.fullname" . }}-broker-ca
{{- else if eq $from "kept" -}}
# The broker writes it; until then, who mounts it waits.
- name: broker-ca
  configMap:
    name: {{ include "symbolon.fullname" . }}-broker-ca
    items: [{ key: ca.crt, path: ca.crt }]
{{- else if eq $from "secret" -}}
# The certificate only: the key beside it is the broker's.
- name: broker-ca
  secret:
    secretName: {{ include "symbolon.broker.tlsSecret" . }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- end }}

{{- define "symbolon.broker.caMount" -}}
{{- if include "symbolon.broker.caFrom" . -}}
- { name: broker-ca, mountPath: /etc/symbolon/broker-ca, readOnly: true }
{{- end }}
{{- end }}

{{/* A second broker on one SQLite file would be two brokers with half of the truth each. */}}
{{- define "symbolon.broker.check" -}}
{{- if gt (int .Values.broker.replicaCount) 1 }}
{{- fail (printf "broker.replicaCount is %d: the broker's store is SQLite, which one process has open at a time, so there can be one replica only. What callers have survives a restart; see `outage budget` in the notes." (int .Values.broker.replicaCount)) }}
{{- end }}
{{- end }}

{{- define "symbolon.broker.config" -}}
{{- $url := include "symbolon.broker.url" . }}
{{- $tls := include "symbolon.broker.tlsMode" . }}
{{- $listen := dict "public" (printf "%s:8700" .Values.bindAddress) "admin" (printf "%s:8701" .Values.bindAddress) "admin_socket" "/run/symbolon/admin.sock" }}
{{- if eq $tls "external" }}
{{- with .Values.broker.tls.trustedProxies }}{{ $_ := set $listen "trusted_proxies" . }}{{ end }}
{{- else if ne $tls "self" }}
{{- $_ := set $listen "tls" (dict "certificate_file" "/etc/symbolon/tls/tls.crt" "key_file" "/etc/symbolon/tls/tls.key") }}
{{- end }}
{{- $store := dict "sqlite" "/var/lib/symbolon/broker.db" }}
{{- if not (include "symbolon.broker.keepsKey" .) }}
{{- $_ := set $store "sealing_key" (printf "${file:/etc/symbolon/sealing/%s}" .Values.broker.sealingKey.key) }}
{{- end }}
{{- $kubernetes := dict "issuer" .Values.cluster.issuer "api" "in_cluster" "keys" .Values.cluster.keys "live" .Values.cluster.live }}
{{- with .Values.broker.audience }}{{ $_ := set $kubernetes "audience" . }}{{ end }}
{{- $provider := dict "name" .Values.cluster.name "kubernetes" $kubernetes "workload" "\"k8s/ns/\" + attested.namespace + \"/sa/\" + attested.service_account" }}
{{- $groups := deepCopy .Values.broker.groups }}
{{- if and .Values.gateway.enabled .Values.gateway.revocations.enabled }}
{{- $gateway := include "symbolon.serviceAccount" (dict "root" . "component" "gateway") }}
{{- $_ := set $groups "symbolon-gateways" (printf "workload.provider == %q && attested.namespace == %q && attested.service_account == %q" .Values.cluster.name .Release.Namespace $gateway) }}
{{- end }}
{{- $config := dict
  "issuer" $url
  "trust_domain" .Values.trustDomain
  "listen" $listen
  "store" $store
  "trust_providers" (prepend .Values.broker.trustProviders $provider)
  "groups" $groups
  "resources" .Values.broker.tokenResources
  "policies" "/etc/symbolon/policies"
  "log" (dict "format" "json" "level" "info") }}
{{- if or (include "symbolon.broker.keepsKey" .) (include "symbolon.broker.keepsCertificate" .) }}
{{- $kept := dict "namespace" .Release.Namespace "secret" (include "symbolon.broker.keptSecret" .) }}
{{- if include "symbolon.broker.keepsCertificate" . }}
{{- $_ := set $kept "certificate" (dict "config_map" (printf "%s-broker-ca" (include "symbolon.fullname" .)) "names" (fromJsonArray (include "symbolon.broker.names" .))) }}
{{- end }}
{{- $_ := set $config "kept" $kept }}
{{- end }}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.broker.config)) }}
{{- end }}
