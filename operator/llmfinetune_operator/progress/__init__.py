"""The endpoint that trainers report to: HTTPS, tokens bound to a pod, the latest report of each fine-tune."""
