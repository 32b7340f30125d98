import { defineConfig } from 'vitepress'
import { opening, pages } from '../../scripts/llmsText.js'

/** The site of the documents: `npm run docs:site`. A dead link fails the build. */
export default defineConfig({
  title: 'Sluice',
  description: 'Loads any REST API into typed tables in DuckDB, Postgres or files',
  cleanUrls: true,
  markdown: {
    config(markdown) {
      // Braces in `{{` are text here, not templates of the site.
      markdown.core.ruler.push('braces', ({ tokens }) => {
        for (const { children } of tokens)
          for (const token of children ?? []) if (token.type === 'code_inline') token.attrSet('v-pre', '')
      })
    },
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    sidebar: pages.map(([text, names]) => ({
      text,
      items: names.map(name => ({ text: opening(name).title, link: `/${name}` })),
    })),
    nav: [
      { text: 'Install', link: '/install' },
      { text: 'Recipes', link: '/apis' },
      { text: 'Every key', link: '/config' },
    ],
  },
})
