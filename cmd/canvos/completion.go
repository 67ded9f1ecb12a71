package main

import (
	"github.com/spf13/cobra"
)

func newCompletion(d *door) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Completion for a shell",
		Long: `completion prints a script that teaches a shell the commands, flags, families,
references and releases of canvos.`,
		Example: `  bash        source <(canvos completion bash)
  zsh         canvos completion zsh > "${fpath[1]}/_canvos"
  fish        canvos completion fish > ~/.config/fish/completions/canvos.fish
  powershell  canvos completion powershell | Out-String | Invoke-Expression`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(d.out, true)
			case "zsh":
				return root.GenZshCompletion(d.out)
			case "fish":
				return root.GenFishCompletion(d.out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(d.out)
			}
		},
	}
}
