module llmfinetune.dev/devcluster/pause

go 1.26
