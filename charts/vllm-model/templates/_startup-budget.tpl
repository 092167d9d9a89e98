{{/*
The startup budget: how many seconds a replica may take from container start to ready.
The constants stand here and nowhere else; `vllm-charts plan startup` reads this very block, so the chart and the
planner cannot drift. They are upper bounds of measured starts (docs/planner.md, "How long a start takes").
Image pull, node provisioning and init containers come before the container starts: not part of it.
*/}}
{{- define "vllm-model.startup.constants" -}}
importsSeconds: 60          # Python, CUDA context, configuration, tokenizer
multiGpuSeconds: 60         # more than one GPU: process start, NCCL, peer-to-peer check
extraNodeSeconds: 60        # for each node after the first: rendezvous
loadFixedSeconds: 4         # build the empty model, whatever its size
compileSeconds: 170         # torch.compile with a cold cache
graphsSeconds: 60           # memory profiling, CUDA graph capture, kernel warm-up
eagerSeconds: 45            # instead of the two lines above with enforceEager
kernelSecondsPerGiB: 3      # kernels built or tuned for the model, grows with it ...
kernelSecondsMax: 300       # ... up to here
slackSeconds: 45
floorSeconds: 360
readRateMiBps: 200          # slowest of disk and loader where nothing is known of either
downloadRateMiBps: 100      # from a hub, where the engine downloads by itself
{{- end -}}

{{/*
Seconds needed, an integer. Input: a dict of sizeGiB (weights on disk), gpus (of one replica), nodes (of one
replica), eager (bool), downloads (bool: the engine itself downloads), and optionally readRateMiBps,
downloadRateMiBps (0 or absent: the constants above).
*/}}
{{- define "vllm-model.startup.neededSeconds" -}}
{{- $c := include "vllm-model.startup.constants" . | fromYaml -}}
{{- $mib := mulf .sizeGiB 1024 -}}
{{- $load := addf $c.loadFixedSeconds (divf $mib (.readRateMiBps | default $c.readRateMiBps)) -}}
{{- $download := ternary (divf $mib (.downloadRateMiBps | default $c.downloadRateMiBps)) 0 .downloads -}}
{{- $devices := ternary $c.multiGpuSeconds 0 (gt (int .gpus) 1) -}}
{{- $nodes := mulf $c.extraNodeSeconds (sub (max 1 (int .nodes)) 1) -}}
{{- $engine := ternary $c.eagerSeconds (addf $c.compileSeconds $c.graphsSeconds) .eager -}}
{{- $kernels := minf $c.kernelSecondsMax (mulf $c.kernelSecondsPerGiB .sizeGiB) -}}
{{- $sum := addf $c.importsSeconds $devices $nodes $download $load $engine $kernels $c.slackSeconds -}}
{{- maxf $c.floorSeconds (ceil $sum) | int -}}
{{- end -}}

{{/*
failureThreshold of a startup probe that surely allows neededSeconds. The kubelet kills at the N-th failure, and the
first probe may come right after initialDelaySeconds: only initialDelay + (N - 1) x period is sure.
Input: a dict of neededSeconds, initialDelaySeconds, periodSeconds.
*/}}
{{- define "vllm-model.startup.failureThreshold" -}}
{{- $rest := max 0 (sub (int .neededSeconds) (int .initialDelaySeconds)) -}}
{{- add 1 (ceil (divf $rest .periodSeconds)) | int -}}
{{- end -}}
