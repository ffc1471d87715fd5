{{/* What the user of the state may do, as deployments/state/acl.py has it. */}}
{{- define "dllm.stateRule" -}}
~dllm:*
+del +eval +exists +expire +get +hdel +hget +hgetall +hincrby +hmget +hset +hsetnx +hvals +ping +sadd +set
+smembers +srem +time +xadd +xdel +xrange +xread +xrevrange +zadd +zcard +zrange +zrangebylex +zrangebyscore
+zrem +zremrangebyscore +zscore
{{- end -}}
